"""The config that points at a sandbox, ready to be pasted into a deskpulse.toml."""

from __future__ import annotations

from connector.models import to_iso
from connector.sandbox.server import Sandbox

CONFIG = """\
# demo data
demo = true
now = "{now}"
zone = "{zone}"
database = "demo.db"

[services.chatwoot]
url = "{url}"
account = {account}
token = "{token}"
requests_per_second = 1000

[services.slack]
webhook = "{webhook}"
"""


def config_text(desk: Sandbox) -> str:
    return CONFIG.format(
        now=to_iso(desk.now),
        zone=desk.world.zone,
        url=desk.url,
        account=desk.account,
        token=desk.token,
        webhook=desk.slack_webhook,
    )
