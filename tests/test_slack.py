from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest
from contract_case import StandingClock
from pydantic import ValidationError
from slack_sdk.models.blocks import Block

from adapters.slack import BLOCKS, SECTION, Slack, SlackSettings, payload
from connector.contract import Announcement, Context, Fields, Heading, Paragraph, Table
from connector.errors import AuthFailed, BadPayload, NotDone, Rejected, Transient
from connector.http import HttpClient
from connector.sandbox.server import Sandbox

GOLDEN = Path(__file__).parents[1] / "fixtures" / "slack" / "digest.json"
DIGEST = Announcement(
    "digest:2026-11-20:slack:#support",
    "Support on Friday 20 November: first response 12 min (n 41), CSAT 92 % (n 25)",
    (
        Heading("Support, Friday 20 November 2026"),
        Paragraph("First responses were *slower* than on the Friday before; see {0} & {1}.", (
            ("#101", "https://desk.example/app/accounts/1/conversations/101?a=1&b=2"),
            ("Ana <VIP>", "https://desk.example/app/accounts/1/conversations/102"),
        )),
        Fields((("First response", "12 min (n 41) ▲ +3 min"), ("CSAT", "92 % (n 25), target 90 %"))),
        Table(("Channel", "n", "First response"), (("WhatsApp", "128", "9 min"), ("E-mail", "74", "1 h 12 min"))),
        Table(("Team", "n"), (("Front line", "150"), ("Billing & refunds", "52"))),
        Context("2026-11-20 00:00–24:00 Europe/Madrid · data until 21 Nov 07:00 · <3 answers are hidden"),
    ),
)  # fmt: skip


def connected(answer, **settings: str) -> tuple[Slack, list[httpx.Request]]:
    """The adapter on a wire where ``answer`` is what comes back."""
    asked: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return answer

    chosen = SlackSettings(**(settings or {"token": "xoxb-secret", "channel": "#support"}))
    wire = httpx.MockTransport(handler)
    client = HttpClient(Slack.service(chosen), StandingClock(), name="slack", demo=False, transport=wire)
    return Slack(chosen, client), asked


def texts(body: dict) -> list[str]:
    found = []
    for block in body["blocks"]:
        found += [
            one["text"] for one in [block.get("text"), *block.get("fields", ()), *block.get("elements", ())] if one
        ]
    return found


def valid(body: dict) -> bool:
    """As Slack's own library sees it."""
    for block in Block.parse_all(body["blocks"]):
        block.validate_json()
    return True


def test_the_digest_looks_like_this() -> None:
    assert payload(DIGEST) == json.loads(GOLDEN.read_text("utf-8"))


def test_slacks_own_library_finds_nothing_wrong() -> None:
    assert valid(payload(DIGEST))


def test_an_announcement_without_end_fits_into_one_message_and_says_what_it_left_out() -> None:
    lines = "\n".join(f"line {number} of many & <more>" for number in range(5000))
    long = Announcement("k", "f" * 9000, (Heading("h" * 400), Paragraph(lines), *DIGEST.blocks * 30))
    body = payload(long)
    assert valid(body)
    assert len(body["blocks"]) <= BLOCKS
    assert sum(map(len, texts(body))) <= 12_000
    shown = sum(text.count("\n") + 1 for text in texts(body)[1:-1])
    assert texts(body)[-1].startswith(f"… {sum_of_lines(long) - shown} more lines")


def sum_of_lines(announcement: Announcement) -> int:
    """Lines of all that would be shown but the heading, if there were room."""
    parts = [payload(Announcement("k", "f", (block,))) for block in announcement.blocks[2:]]
    return 5000 + sum(text.count("\n") + 1 for body in parts for text in texts(body))


def test_the_fiftieth_of_many_blocks_says_what_is_left() -> None:
    body = payload(Announcement("k", "f", tuple(Context(f"{n}") for n in range(60))))
    assert len(body["blocks"]) == BLOCKS
    assert "11 more lines" in texts(body)[-1]
    assert texts(payload(Announcement("k", "f", tuple(Context(f"{n}") for n in range(50)))))[-1] == "49"


def test_nothing_in_a_text_can_call_people_or_become_a_link() -> None:
    loud = "<!channel> <@U1> <https://evil.example|bank> @here @channel &lt;"
    body = payload(
        Announcement("k", loud, (Paragraph(loud), Fields(((loud, loud),)), Table((loud,), ((loud,),)), Context(loud)))
    )
    for text in [body["text"], *texts(body)]:
        assert "<" not in text
        assert "@here" not in text
        assert "@channel" not in text
        assert "&amp;lt;" in text
    blocks = [one for block in body["blocks"] for one in (block.get("text"), *block.get("fields", ())) if one]
    assert all(one["verbatim"] for one in blocks)


def test_a_link_keeps_its_address_and_its_label_cannot_break_out() -> None:
    links = (("a|b>c", "https://x.example/?q=1&r=<2>|3"), ("run", "javascript:alert(1)"))
    body = payload(Announcement("k", "f", (Paragraph("{0} {1} {2} {x}", links),)))
    assert texts(body) == ["<https://x.example/?q=1&amp;r=%3C2%3E%7C3|a|b&gt;c> run {2} {x}"]


def test_long_texts_are_cut_at_line_ends_and_never_within_a_link_or_an_entity() -> None:
    line = "word & " * 300 + "{0}" + "\n"
    body = payload(Announcement("k", "f", (Paragraph(line * 3, (("label", "https://x.example/" + "y" * 400),)),)))
    assert all(0 < len(text) <= SECTION for text in texts(body))
    for text in texts(body):
        assert text.count("<") == text.count(">")
        assert text.count("&") == text.count("&amp;")
    assert "".join(texts(body)).count("|label>") == 3


def test_what_is_cut_short_ends_in_an_ellipsis_and_no_half_entity() -> None:
    body = payload(Announcement("k", "&" * 5000, (Fields((("label", "&" * 5000),)),)))
    for text in [body["text"], *texts(body)]:
        assert text.endswith("&amp;…")


def test_a_table_is_aligned_and_each_part_of_a_long_one_is_fenced() -> None:
    wide = Table(("Team", "n"), tuple((f"team ``` {n}", str(n)) for n in range(400)))
    body = payload(Announcement("k", "f", (wide,)))
    assert len(texts(body)) > 2
    for text in texts(body):
        assert text.startswith("```\n")
        assert text.endswith("\n```")
        assert text.count("```") == 2
    narrow = payload(Announcement("k", "f", (Table(("n",), (("1",),) * 4000),)))
    assert [len(text) for text in texts(narrow)[:2]] == [SECTION - 1, SECTION - 1]
    table = payload(DIGEST)["blocks"][3]["text"]["text"]
    assert [len(line) for line in table.splitlines()[1:-1]] == [29, 29, 29]


def test_an_announcement_of_nothing_but_its_line_is_posted() -> None:
    body = payload(Announcement("k", "Nothing moved", ()))
    assert (body["text"], body["blocks"]) == ("Nothing moved", [])


def test_the_bot_posts_to_its_channel_and_the_receipt_is_the_timestamp() -> None:
    slack, asked = connected(httpx.Response(200, json={"ok": True, "channel": "C1", "ts": "1795165200.000100"}))
    assert slack.announce(DIGEST) == "1795165200.000100"
    assert str(asked[0].url) == "https://slack.com/api/chat.postMessage"
    assert asked[0].headers["authorization"] == "Bearer xoxb-secret"
    sent = json.loads(asked[0].content)
    assert sent == {"channel": "#support"} | payload(DIGEST)


def test_the_webhook_is_posted_to_as_it_stands() -> None:
    address = "https://hooks.slack.com/services/T0/B0/secret"
    slack, asked = connected(httpx.Response(200, text="ok"), webhook=address)
    assert slack.announce(DIGEST) == "ok"
    assert str(asked[0].url) == address
    assert json.loads(asked[0].content) == payload(DIGEST)


@pytest.mark.parametrize(
    ("word", "kind", "says"),
    [
        ("invalid_auth", AuthFailed, "Bot User OAuth Token"),
        ("token_revoked", AuthFailed, "Bot User OAuth Token"),
        ("missing_scope", AuthFailed, "chat:write"),
        ("channel_not_found", Rejected, "invite the app"),
        ("not_in_channel", Rejected, "invite the app"),
        ("is_archived", Rejected, "archived"),
        ("invalid_blocks", Rejected, "invalid_blocks"),
        ("ratelimited", NotDone, "later"),
        ("internal_error", Transient, "perhaps after posting"),
    ],
)
def test_slacks_word_becomes_the_error_of_its_remedy(word, kind, says) -> None:
    answer = httpx.Response(200, json={"ok": False, "error": word}, headers={"Retry-After": "30"})
    slack, asked = connected(answer)
    with pytest.raises(kind, match=says) as caught:
        slack.announce(DIGEST)
    assert len(asked) == 1
    assert getattr(caught.value, "retry_after", 30) == (None if kind is Transient else 30)
    assert "xoxb-secret" not in str(caught.value)


@pytest.mark.parametrize("answer", [httpx.Response(200, json=[1]), httpx.Response(200, text="<html>")])
def test_an_answer_that_is_not_slacks_is_no_receipt(answer) -> None:
    with pytest.raises(BadPayload):
        connected(answer)[0].announce(DIGEST)
    with pytest.raises(BadPayload):
        connected(answer, webhook="https://hooks.slack.com/services/T0/B0/secret")[0].announce(DIGEST)


def test_a_refused_webhook_does_not_show_its_address() -> None:
    slack, _ = connected(
        httpx.Response(403, text="invalid_token"), webhook="https://hooks.slack.com/services/T/B/secret"
    )
    with pytest.raises(AuthFailed) as caught:
        slack.announce(DIGEST)
    assert "secret" not in str(caught.value)
    assert Slack.service(slack.settings).secret_url


@pytest.mark.parametrize(
    ("scopes", "ok", "says"),
    [
        ("chat:write", True, "nothing more"),
        ("chat:write, channels:history", None, "channels:history"),
        ("channels:read", False, "missing"),
        ("", None, "does not say"),
    ],
)
def test_doctor_says_which_scopes_are_missing_or_too_many(scopes, ok, says) -> None:
    answer = httpx.Response(200, json={"ok": True, "team": "T", "user": "u"}, headers={"X-OAuth-Scopes": scopes})
    token, found = connected(answer)[0].probe()
    assert token.ok is True
    assert (found.check, found.ok) == ("scopes", ok)
    assert says in found.detail


def test_doctor_says_that_a_refused_token_has_to_be_put_right() -> None:
    (found,) = connected(httpx.Response(200, json={"ok": False, "error": "invalid_auth"}))[0].probe()
    assert (found.check, found.ok) == ("token", False)
    assert "chat:write" in found.remedy


def test_doctor_says_where_the_address_leads_nowhere() -> None:
    (found,) = connected(httpx.Response(404, text="no"))[0].probe()
    assert (found.check, found.ok) == ("address", False)


def test_doctor_says_that_a_webhook_cannot_be_tested() -> None:
    slack, asked = connected(httpx.Response(500), webhook="https://hooks.slack.com/services/T/B/secret")
    (found,) = slack.probe()
    assert (found.ok, asked) == (None, [])


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"token": "x"},
        {"channel": "#support"},
        {"webhook": "https://hooks.slack.com/x", "token": "x", "channel": "#support"},
        {"webhook": "https://hooks.slack.com/x", "channel": "#support"},
    ],
)
def test_exactly_one_way_must_be_set(settings) -> None:
    with pytest.raises(ValidationError, match="webhook"):
        SlackSettings(**settings)


def test_the_sandbox_takes_it_both_ways(tmp_path) -> None:
    world = tmp_path / "world.jsonl"
    world.write_text('{"id": "1", "created_at": "2026-11-20T09:00:00Z"}\n', "utf-8")
    with Sandbox(world) as sandbox:
        by_token = {"token": sandbox.slack_token, "channel": "#support", "api_url": f"{sandbox.url}/slack/api"}
        for settings in ({"webhook": sandbox.slack_webhook}, by_token):
            chosen = SlackSettings(**settings)
            client = HttpClient(Slack.service(chosen), StandingClock(), name="slack", demo=True)
            assert Slack(chosen, client).announce(DIGEST)
            client.close()
        kept = [(one["via"], one["channel"], one["blocks"]) for one in sandbox.slack.messages]
    blocks = payload(DIGEST)["blocks"]
    assert kept == [("webhook", None, blocks), ("chat.postMessage", "#support", blocks)]
