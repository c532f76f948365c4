"""What a site lets in and out: nftables rules in the router between the site and this machine."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from kubebox.network import Addresses, inside

TABLE = "kubebox"


@dataclass(frozen=True)
class Firewall:
    """`open` is all defaults. Rules hold for new connections; a cut link stops old ones, too."""

    inbound: bool = True  # whether this machine may open connections into the site
    proxy: str = ""  # host:port on the hub, the only place to which the site may connect; empty: anywhere
    pods_egress: bool = True  # whether pods may leave the site; those named by `let_out` always may
    link: bool = True  # whether there is a way between the site and this machine at all

    @classmethod
    def parse(cls, text: str) -> Firewall:
        """`open`, `outbound-only`, `proxy-only=PORT`, `no-pod-egress`, or several with commas between them."""
        wall = cls()
        for word in filter(None, text.split(",")):
            mode, _, value = word.partition("=")
            if mode == "outbound-only":
                wall = replace(wall, inbound=False)
            elif mode == "proxy-only" and value.isdigit():
                wall = replace(wall, inbound=False, proxy=value)
            elif mode == "no-pod-egress":
                wall = replace(wall, pods_egress=False)
            elif word != "open":
                raise ValueError(f"{word!r}: a firewall is open, outbound-only, proxy-only=PORT or no-pod-egress")
        return wall


OPEN = Firewall()


def rules(at: Addresses, wall: Firewall, let_out: Iterable[str] = ()) -> str:
    """What nft reads: replaces every rule in one step."""
    lines = ["ct state established,related accept"]
    if not wall.link:
        lines = ['iifname "up0" drop', 'oifname "up0" drop', *lines]
    if not wall.inbound:
        lines.append('iifname "up0" drop')
    if not wall.pods_egress:
        lines.append(f'oifname "up0" ip saddr {at.pods} ip saddr != @let_out drop')
    if wall.proxy:
        lines.append(f'oifname "up0" ip daddr {at.hub} tcp dport {wall.proxy} accept')
        lines.append('oifname "up0" drop')
    members = ", ".join(sorted(let_out))
    elements = f" elements = {{ {members} }}" if members else ""
    forward = "\n    ".join(lines)
    return f"""\
table inet {TABLE}
delete table inet {TABLE}
table inet {TABLE} {{
  set let_out {{ type ipv4_addr;{elements} }}
  chain forward {{
    type filter hook forward priority filter; policy accept;
    {forward}
  }}
  chain translate {{
    type nat hook postrouting priority srcnat; policy accept;
    oifname "up0" masquerade
  }}
}}
"""


def apply(at: Addresses, wall: Firewall, let_out: Iterable[str] = ()) -> None:
    """In force when this returns."""
    inside(at.name, "nft", "-f", "-", given=rules(at, wall, let_out))


def let_out(at: Addresses, pods: Iterable[str]) -> None:
    """Exactly these pods may leave a site whose pods may not."""
    members = ", ".join(sorted(pods))
    fill = f"add element inet {TABLE} let_out {{ {members} }}\n" if members else ""
    inside(at.name, "nft", "-f", "-", given=f"flush set inet {TABLE} let_out\n{fill}")
