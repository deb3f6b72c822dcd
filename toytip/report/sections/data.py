"""The section about feature distributions."""

from __future__ import annotations

from toytip.report.blocks import Block, PicturesBlock, TextBlock
from toytip.report.charts import data as charts
from toytip.report.facts import Facts
from toytip.report.sections.section import Content, missing, section

MAX_DRAWN_FEATURES = 18


@section("features", "Feature distributions")
def features_section(facts: Facts) -> Content:
    """Return the distribution of every feature by month."""
    order = "The most important features come first. " if facts.feature_importance else ""
    lead = (
        f"{order}Charts of numeric features show the median, and bands that contain 50 % and 90 % of the trips. "
        "Charts of categorical features show the shares of the four most common values."
    )
    distributions = facts.feature_distributions
    if not distributions:
        reason = facts.missing_reasons.get("features", "there are no feature histograms")
        return missing(lead, f"Feature distributions are not available: {reason}.")
    drawn = distributions[:MAX_DRAWN_FEATURES]
    pictures = [
        charts.draw_feature_distribution(f"feature-{index}", distribution, list(facts.months))
        for index, distribution in enumerate(drawn)
        if min(distribution.missing_shares) < 1
    ]
    blocks: list[Block] = [PicturesBlock(pictures)]
    empty = [item.name for item in distributions if min(item.missing_shares) >= 1]
    if empty:
        blocks.append(TextBlock(f"No trip has a value for {', '.join(empty)}."))
    if len(distributions) > MAX_DRAWN_FEATURES:
        rest = ", ".join(item.name for item in distributions[MAX_DRAWN_FEATURES:])
        order = "most important " if facts.feature_importance else ""
        blocks.append(
            TextBlock(
                f"The charts show the {MAX_DRAWN_FEATURES} {order}features. Features without a chart: {rest}."
            )
        )
    return Content(lead, blocks)
