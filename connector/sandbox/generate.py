"""The demo desk's last sixty days, told from a seed: the same seed gives the same world, byte for byte.

Sixty local days in Paris up to Friday 2026-11-20, with the night of 2026-10-25 that has 25 hours. On the last Wednesday
customers begin to be charged twice: the invoicing team gets several times its usual mail and answers several times
slower, so that a digest has something to say.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from random import Random
from zoneinfo import ZoneInfo

from connector.sandbox import cast
from connector.sandbox.cast import DESKS, Desk, Topic
from connector.sandbox.hours import open_seconds, schedule_of
from connector.sandbox.story import Story
from connector.sandbox.world import Neutral, World

LAST_DAY = date(2026, 11, 20)
DAYS = 60
INBOUND, OUTBOUND, CAMPAIGN = 930, 30, 28
CAMPAIGN_AT = datetime(2026, 10, 13, 8, tzinfo=UTC)
CHARGED_TWICE_DAYS, CHARGED_TWICE_A_DAY = 3, 14
SLOW_TEAM, SLOW_FROM, SLOWER = "2", datetime(2026, 11, 17, 23, tzinfo=UTC), 3.0
TWICE_0230 = (datetime(2026, 10, 25, 0, 30, tzinfo=UTC), datetime(2026, 10, 25, 1, 30, tzinfo=UTC))
"""02:30 by the clock on the wall, twice, in the night when summer time ends."""

DAY_WEIGHTS = (1.35, 1.15, 1.05, 1.0, 0.95, 0.45, 0.3)
HOUR_WEIGHTS = (1, 1, 1, 1, 1, 2, 4, 8, 20, 34, 36, 30, 20, 26, 32, 31, 28, 25, 18, 14, 12, 9, 5, 2)
STAFF = schedule_of(cast.OFFICE)
SCHEDULES = {desk.id: schedule_of(desk.schedule) if desk.schedule else STAFF for desk in DESKS}
WHATSAPP = next(desk for desk in DESKS if desk.channel == "whatsapp")


def generate(seed: int = 1) -> World:
    """About a thousand conversations on five channels."""
    rng = Random(seed)  # noqa: S311 - a story is told, no secret is made
    customers = _Customers(rng)
    until = _second(LAST_DAY + timedelta(days=1), 0)
    told = [_tell(rng, customers, n, at, until, plot) for n, (at, plot) in enumerate(_plots(rng), 1)]
    return World(cast.ZONE, {**_desk_records(), "contact": customers.records, "conversation": told})


def _desk_records() -> dict[str, list[Neutral]]:
    agents = [{"type": "agent", "id": i, "name": name} for team in cast.AGENTS.values() for i, name in team]
    return {
        "inbox": [_inbox(desk) for desk in DESKS],
        "team": [{"type": "team", "id": i, "name": name} for i, name in cast.TEAMS.items()],
        "agent": [*agents, dict(cast.BOT)],
    }


def _inbox(desk: Desk) -> Neutral:
    inbox = {"type": "inbox", "id": desk.id, "name": desk.name, "channel": desk.channel}
    return {**inbox, "schedule": desk.schedule} if desk.schedule else inbox


def _plots(rng: Random) -> list[tuple[int, str]]:
    """(second, plot) of every conversation, in order of creation."""
    days = [LAST_DAY - timedelta(days=n) for n in range(DAYS)]
    weights = [DAY_WEIGHTS[day.weekday()] for day in days]
    plots = ["inbound"] * INBOUND + ["outbound"] * OUTBOUND
    starts = [
        (_moment(rng, day, plot), plot)
        for day, plot in zip(rng.choices(days, weights, k=len(plots)), plots, strict=True)
    ]
    night = [(int(moment.timestamp()), "night") for moment in TWICE_0230]
    campaign = [(int(CAMPAIGN_AT.timestamp()) + 2 * n, "campaign") for n in range(CAMPAIGN)]
    bad_days = days[:CHARGED_TWICE_DAYS] * CHARGED_TWICE_A_DAY
    charged = [(_second(day, 8 * 3600 + rng.randrange(8 * 3600)), "charged_twice") for day in bad_days]
    return sorted(starts + night + campaign + charged)


def _moment(rng: Random, day: date, plot: str) -> int:
    if plot == "outbound":
        working = day - timedelta(days=max(0, day.weekday() - 4))
        return _second(working, 9 * 3600 + rng.randrange(8 * 3600))
    (hour,) = rng.choices(range(24), HOUR_WEIGHTS)
    return _second(day, hour * 3600 + rng.randrange(3600))


def _second(day: date, second: int) -> int:
    return int((datetime.combine(day, time(), ZoneInfo(cast.ZONE)) + timedelta(seconds=second)).timestamp())


class _Customers:
    """Who writes. One in four is somebody who wrote on the same channel lately."""

    def __init__(self, rng: Random) -> None:
        self.rng, self.records = rng, list[Neutral]()
        self.lately: dict[str, list[Neutral]] = {}

    def who(self, desk: Desk, at: int) -> Neutral:
        lately = self.lately.setdefault(desk.channel, [])
        if len(lately) > 5 and self.rng.random() < 0.25:
            return self.rng.choice(lately[-40:])
        lately.append(self._new(at))
        return lately[-1]

    def _new(self, at: int) -> Neutral:
        number = len(self.records) + 1
        name = f"{self.rng.choice(cast.FIRST_NAMES)} {self.rng.choice(cast.LAST_NAMES)}"
        language = "fr" if self.rng.random() < 0.6 else "en"
        created = datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        record = {"type": "contact", "id": f"c{number}", "name": name, "language": language, "created_at": created}
        self.records.append(record)
        return record


def _tell(rng: Random, customers: _Customers, number: int, at: int, until: int, plot: str) -> Neutral:
    desk = WHATSAPP if plot in ("campaign", "night") else rng.choices(DESKS, [desk.share for desk in DESKS])[0]
    who = customers.who(desk, at)
    (topic,) = rng.choices(cast.TOPICS, [topic.weight for topic in cast.TOPICS])
    if desk.name == "Comptabilité" or plot == "charged_twice":
        topic = rng.choice([topic for topic in cast.TOPICS if topic.team == SLOW_TEAM])
    teller = _Teller(Story(rng, number, at, until, SCHEDULES[desk.id]), desk, topic, who)
    getattr(teller, plot)()
    language = who["language"]
    return teller.story.record(
        inbox=desk.id, channel=desk.channel, contact=who["id"], language=language, tags=teller.tags
    )


class _Teller:
    """The plots. Each moves one story from its first message to its end, or to the end of the world."""

    def __init__(self, story: Story, desk: Desk, topic: Topic, who: Neutral) -> None:
        self.story, self.desk, self.topic, self.rng = story, desk, topic, story.rng
        self.who, self.language, self.tags = who["id"], who["language"], [topic.tag]
        self.waited = 0

    # --- plots

    def inbound(self) -> None:
        """A customer asks; a bot, an automation, people answer, or nobody."""
        if self.desk.channel == "email" and self._chance(0.03):
            return self._spam()
        self._ask(self.rng.choice(self.topic.questions[self.language]))
        if self.desk.bot and self._chance(0.85):
            return self._bot()
        self._greet()
        self._people()
        return None

    def charged_twice(self) -> None:
        """Like any other, and there are many."""
        self.inbound()

    def night(self) -> None:
        """Like any other, but it falls into the hour that the clocks show twice."""
        self._ask(self.rng.choice(self.topic.questions[self.language]))
        self._people()

    def outbound(self) -> None:
        """An agent writes first; most customers answer."""
        self.story.route(self.topic.team)
        self._take()
        self._reply(cast.OUTBOUND[self.language])
        if self._chance(0.7):
            self.story.wait(self.desk.customer_s * 3)
            self._ask(self.rng.choice(cast.FOLLOW_UPS[self.language]))
            self._turns(1)
        self._close()

    def campaign(self) -> None:
        """Sent to many; a few answer, and only then there is something to do."""
        self.tags = ["campaign"]
        self.story.say("automation", "campaign", cast.CAMPAIGN[self.language], kind="campaign")
        if self._chance(0.3):
            self.story.wait(5400)
            self._ask(self.rng.choice(self.topic.questions[self.language]))
            return self._people()
        self.story.at += 3 * 86400
        self.story.become("done", "automation")
        return None

    def _spam(self) -> None:
        self.tags = ["spam"]
        self._ask(self.rng.choice(cast.SPAM))
        self.story.route("1")
        self.story.work(3600)
        self.story.become("done", self._agent())

    # --- the bot and the automations

    def _bot(self) -> None:
        self.story.status = "pending"
        self.story.at += self.rng.randint(2, 6)
        self._bot_says(cast.BOT_HELLO[self.language])
        for _ in range(self.rng.randint(1, 2)):
            self.story.wait(50)
            self._ask(self.rng.choice(cast.FOLLOW_UPS[self.language]))
            self.story.at += self.rng.randint(2, 9)
            self._bot_says(self.rng.choice(cast.BOT_ANSWERS[self.language]))
        end = self.rng.random()
        if end < 0.36:
            self._contained()
        elif end < 0.95:
            self._handed_over()

    def _contained(self) -> None:
        if self._chance(0.5):
            self.story.wait(60)
            self._ask(self.rng.choice(cast.THANKS[self.language]))
        self.story.at += 1800
        self.story.become("done", "bot-leo")
        self._survey()
        if self._chance(0.08):
            self._come_back()

    def _handed_over(self) -> None:
        self.story.wait(40)
        self._ask(cast.ASK_HUMAN[self.language])
        self.story.at += self.rng.randint(2, 5)
        self._bot_says(cast.BOT_HANDS_OVER[self.language])
        self.story.at += 1
        self.story.happen("handoff", actor="bot-leo")
        self.story.become("open", "bot-leo")
        self._people()

    def _bot_says(self, text: str) -> None:
        self.story.say("bot", "bot-leo", text)

    def _greet(self) -> None:
        """Chat and direct messages are greeted; mail that comes while we are closed is acknowledged."""
        self.story.at += self.rng.randint(1, 4)
        if self.desk.channel in ("live_chat", "instagram"):
            self.story.say("automation", "greeting", cast.GREETING[self.language])
        elif self.desk.schedule and not open_seconds(self.story.hours, self.story.at, self.story.at + 60):
            self.story.say("automation", "closed", cast.CLOSED[self.language])

    # --- people

    def _people(self) -> None:
        self.story.at += self.rng.randint(1, 5)
        misrouted = self.topic.team != "1" and self._chance(0.3)
        self.story.route("1" if misrouted else self.topic.team)
        if self._chance(0.025):
            return
        if misrouted:
            self._hand_on()
        self._take()
        self._turns(self.rng.choices((1, 2, 3, 5), (52, 28, 14, 6))[0])
        self._close()

    def _hand_on(self) -> None:
        """The wrong team looks at it first and passes it on with a note."""
        self.story.work(self.desk.agent_s / 2)
        agent = self._agent()
        self.story.assign(agent, agent)
        self._note(agent)
        self.story.at += 20
        self.story.route(self.topic.team, agent)

    def _take(self) -> None:
        agent = self._agent()
        self.story.assign(agent, agent if self._chance(0.5) else None)

    def _turns(self, turns: int) -> None:
        """The agent answers, the customer writes again, as often as that; the agent has the last word."""
        for turn in range(turns):
            if turn:
                self.story.wait(self.desk.customer_s)
                self._ask(self.rng.choice(cast.FOLLOW_UPS[self.language]))
            asked = self.story.at
            if self._chance(0.12):
                self.story.work(self.desk.agent_s / 3)
                self._note(self.story.agent)
            self.story.work(self._pace())
            self.waited = max(self.waited, open_seconds(self.story.hours, asked, self.story.at))
            self._reply(self.rng.choice(cast.REPLIES[self.language]))
            if self._chance(0.15):
                self.story.work(90)
                self._reply(self.rng.choice(cast.REPLIES[self.language]))

    def _pace(self) -> float:
        slow = self.story.team == SLOW_TEAM and self.story.at >= SLOW_FROM.timestamp()
        return self.desk.agent_s * (SLOWER if slow else 1.0)

    def _close(self) -> None:
        if self._chance(0.35):
            self.story.wait(self.desk.customer_s)
            self._ask(self.rng.choice(cast.THANKS[self.language]))
        if self._chance(0.05):
            return
        self.story.work(600 + self.desk.agent_s / 2)
        self.story.become("done", self.story.agent)
        self._survey()
        if self._chance(0.13):
            self._come_back()

    def _come_back(self) -> None:
        """The customer writes after the end: a thank-you asks for nothing, anything else for an answer."""
        self.story.wait(30000, 1.2)
        thanks = self._chance(0.4)
        self._ask(self.rng.choice((cast.THANKS if thanks else cast.AGAIN)[self.language]))
        self.story.become("open", self.who)
        if thanks:
            self.story.work(1200)
        else:
            self.story.route(self.story.team or self.topic.team)
            self._take()
            self._turns(1)
            self.story.work(900)
        self.story.become("done", self._agent())

    def _survey(self) -> None:
        """Offered at the first end where the inbox does so; longer waits are rated worse; a few think again."""
        if not self.desk.survey:
            return
        self.story.at += 2
        scores = []
        if self._chance(0.38):
            late = self.waited > 2.5 * self.desk.agent_s
            weights = (18, 20, 22, 24, 16) if late else (3, 4, 9, 30, 54)
            scores = [(self.rng.randint(40, 30000), self.rng.choices((1, 2, 3, 4, 5), weights)[0])]
        if scores and self._chance(0.08):
            scores.append((scores[0][0] + self.rng.randint(600, 90000), self.rng.choice((1, 4, 5))))
        self.story.survey(scores)

    # --- words

    def _ask(self, text: str) -> None:
        self.story.say("customer", self.who, text)

    def _reply(self, text: str) -> None:
        self.story.say("agent", self.story.agent or self._agent(), text)

    def _note(self, agent: str) -> None:
        self.story.say("agent", agent, self.rng.choice(cast.NOTES[self.language]), private=True)

    def _agent(self) -> str:
        """Whoever has it if they are of the team in charge, else one of that team."""
        ids = [i for i, _ in cast.AGENTS[self.story.team or self.topic.team]]
        return self.story.agent if self.story.agent in ids else self.rng.choice(ids)

    def _chance(self, share: float) -> bool:
        return self.rng.random() < share
