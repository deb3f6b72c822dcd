"""Score trips with models, package models, and register models."""
