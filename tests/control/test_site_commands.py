"""The line that is printed is the line that works, whatever is in it."""

import shlex

import pytest

from ferryml.control.site_commands import commands

URL, TOKEN = "https://ferry.example:8443", "join_onprem_abc-_"


def test_one_line_for_each_way():
    said = commands(URL, "onprem", TOKEN, "deploy/helm/ferry-agent")
    assert set(said) == {"command", "helm", "kubectl"}
    for line in said.values():
        assert "\n" not in line
        assert URL in line
        assert TOKEN in line
    assert said["kubectl"].endswith("| kubectl apply --server-side -f -")


def test_the_line_for_helm_says_what_the_chart_needs():
    words = shlex.split(commands(URL, "onprem", TOKEN, "oci://r.example/charts/ferry-agent")["helm"])
    assert words[:5] == ["helm", "upgrade", "--install", "ferry-agent", "oci://r.example/charts/ferry-agent"]
    given = dict(word.split("=", 1) for word in words if "=" in word)
    assert given == {"site.name": "onprem", "site.server_url": URL, "joinToken": TOKEN}


@pytest.mark.parametrize("url", ["https://x/a,b", "https://x/{a}", "https://x/$(id)", "https://x/'; id"])
def test_strange_addresses_stay_one_value(url):
    words = shlex.split(commands(url, "a", TOKEN, "c")["helm"])
    (value,) = [word.split("=", 1)[1] for word in words if word.startswith("site.server_url")]
    assert value.replace("\\,", ",").replace("\\{", "{").replace("\\}", "}") == url
    assert url in shlex.split(commands(url, "a", TOKEN, "c")["command"])
