"""The proxy variables mean what they mean for curl, except that this machine never has a proxy."""

import os

import pytest

from toytip.errors import ConfigError
from toytip.io.proxies import exclude_loopback, find_proxy

PROXY = "http://proxy.example:3128"


@pytest.mark.parametrize(
    ("url", "environment", "expected"),
    [
        ("https://a.example", {}, None),
        ("https://a.example", {"HTTPS_PROXY": PROXY}, (PROXY, "HTTPS_PROXY")),
        ("https://a.example", {"HTTP_PROXY": PROXY}, None),
        ("http://a.example", {"HTTP_PROXY": PROXY}, (PROXY, "HTTP_PROXY")),
        ("http://a.example", {"http_proxy": "p:1", "HTTP_PROXY": PROXY}, ("http://p:1", "http_proxy")),
        ("http://a.example", {"http_proxy": "", "ALL_PROXY": PROXY}, (PROXY, "ALL_PROXY")),
        ("https://a.example", {"all_proxy": PROXY, "NO_PROXY": "b.example"}, (PROXY, "all_proxy")),
        ("https://a.example", {"HTTPS_PROXY": PROXY, "NO_PROXY": "*"}, None),
        ("https://a.example", {"HTTPS_PROXY": PROXY, "NO_PROXY": "x, .EXAMPLE"}, None),
        ("https://a.example:8443", {"HTTPS_PROXY": PROXY, "no_proxy": "a.example:8443"}, None),
        ("https://ba.example", {"HTTPS_PROXY": PROXY, "NO_PROXY": "a.example"}, (PROXY, "HTTPS_PROXY")),
        ("http://10.1.2.3", {"HTTP_PROXY": PROXY, "NO_PROXY": "10.0.0.0/8"}, None),
        ("http://10.1.2.3", {"HTTP_PROXY": PROXY, "NO_PROXY": "11.0.0.0/8"}, (PROXY, "HTTP_PROXY")),
        ("http://[fd00::1]:80", {"HTTP_PROXY": PROXY, "NO_PROXY": "fd00::/8"}, None),
        ("http://127.0.0.1:8333", {"HTTP_PROXY": PROXY}, None),
        ("http://[::1]:8333", {"ALL_PROXY": PROXY}, None),
        ("http://localhost:8333", {"HTTP_PROXY": PROXY}, None),
    ],
)
def test_a_url_has_the_proxy_that_curl_would_use(url, environment, expected):
    assert find_proxy(url, environment) == expected


def test_a_proxy_of_another_kind_is_refused_without_its_password():
    environment = {"ALL_PROXY": "socks5://user:secret@proxy.example"}
    with pytest.raises(ConfigError, match=r"only http:// and https:// proxies") as caught:
        find_proxy("https://a.example", environment)
    assert "secret" not in f"{caught.value} {caught.value.hint}"
    assert "ALL_PROXY" in caught.value.hint


def test_libraries_reach_this_machine_without_a_proxy(monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy", "NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HTTPS_PROXY", PROXY)
    monkeypatch.setenv("NO_PROXY", "a.example")
    monkeypatch.setenv("no_proxy", "a.example")
    exclude_loopback()
    exclude_loopback()
    assert os.environ["no_proxy"] == os.environ["NO_PROXY"] == "a.example,localhost,127.0.0.1,127.0.0.0/8,::1"
    monkeypatch.setenv("no_proxy", "*")
    exclude_loopback()
    assert os.environ["NO_PROXY"] == "*"
