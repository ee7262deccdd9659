"""A digest in words: every phrase it says, in English and French. Layout is the renderers'."""

from __future__ import annotations

from datetime import date

from connector.digest.model import Cell, Digest, Line, Look, Reason
from connector.language import NARROW, SPACE, day, duration, moment, number, percent
from connector.metric import Value, Words
from connector.period import Period, days

SAY: dict[str, Words] = {
    "support": Words("Support on {0}", "Support du {0}"),
    "support over": Words("Support from {0}", "Support du {0}"),
    "versus": Words("compared with {0}", "par rapport au {0}"),
    "versus over": Words("compared with {0}", "par rapport à la période du {0}"),
    "alone": Words("nothing to compare with yet", "pas encore de point de comparaison"),
    "range": Words("{0} to {1}", "{0} au {1}"),
    "quiet": Words("nothing clearly moved", "rien n'a nettement bougé"),
    "worse": Words("Got worse", "En dégradation"),
    "better": Words("Got better", "En amélioration"),
    "moved": Words("Moved", "A bougé"),
    "steady": Words("No clear change", "Sans évolution nette"),
    "figures": Words("Figures", "Chiffres"),
    "figure": Words("KPI", "Indicateur"),
    "value": Words("value", "valeur"),
    "n": Words("n", "n"),
    "change": Words("change", "évolution"),
    "goal": Words("target", "objectif"),
    "look": Words("To look at", "À regarder"),
    "channel": Words("Channels", "Canaux"),
    "team": Words("Teams", "Équipes"),
    "no-channel": Words("no channel", "sans canal"),
    "no-team": Words("no team", "sans équipe"),
    "no data": Words("no data", "aucune donnée"),
    "without": Words("No data", "Aucune donnée"),
    "unfed": Words("Not told by {0}", "Non fourni par {0}"),
    "no change": Words("no clear change", "pas d'évolution nette"),
    "was": Words("was {0}", "avant\u00a0: {0}"),
    "point": Words("{0} points", "{0}\u00a0point"),  # French counts in the plural from two on
    "points": Words("{0} points", "{0}\u00a0points"),
    "target": Words("target {0}", "objectif {0}"),
    "met": Words("met", "atteint"),
    "missed": Words("missed", "manqué"),
    "below": Words("! misses its target", "! objectif manqué"),
    "business": Words("opening hours", "heures d'ouverture"),
    "data of": Words("Data as of {0}", "Données au {0}"),
    "no sync": Words("Not all data has been read yet", "Les données n'ont pas encore toutes été lues"),
    "complete": Words("complete", "complètes"),
    "incomplete": Words("may still change: {0}", "chiffres provisoires\u00a0: {0}"),
    "zone": Words("times in {0}", "fuseau {0}"),
    "explain": Words("How a figure came about", "D'où vient un chiffre"),
    "nothing": Words("nothing has been read yet", "rien n'a encore été lu"),
    "open": Words("the period is not over", "la période n'est pas terminée"),
    "never": Words("{0} has not been read to the end yet", "{0} n'a pas encore été lu jusqu'au bout"),
    "paused": Words("{0} cannot be read since {1}", "{0} ne peut plus être lu depuis le {1}"),
    "behind": Words("{0} was last read on {1}", "{0} a été lu pour la dernière fois le {1}"),
    "rejects": Words("records left out as unreadable: {0}", "enregistrements illisibles écartés\u00a0: {0}"),
    "waiting": Words("the customer has been waiting for {0}", "le client attend depuis {0}"),
    "breached": Words("{1}: promise broken by {0}", "{1}\u00a0: engagement dépassé de {0}"),
    "low-rated": Words("rated {0} on a scale of {1}", "notée {0} sur une échelle de {1}"),
    "scale": Words("{0}–{1}", "{0} à {1}"),
    "slow": Words("slowest first response, {0}", "première réponse la plus lente, {0}"),
    "first_response_time": Words("first response", "première réponse"),
    "next_response_time": Words("next response", "réponse suivante"),
    "resolution_time": Words("resolution", "résolution"),
    "moves": Words("{0} got worse, {1} got better", "{0} en dégradation, {1} en amélioration"),
}
CHANNELS: dict[str, Words] = {
    "email": Words("E-mail", "E-mail"),
    "live_chat": Words("Live chat", "Chat en direct"),
    "whatsapp": Words("WhatsApp", "WhatsApp"),
    "sms": Words("SMS", "SMS"),
    "phone": Words("Phone", "Téléphone"),
    "instagram": Words("Instagram", "Instagram"),
    "facebook": Words("Facebook", "Facebook"),
    "x": Words("X", "X"),
    "linkedin": Words("LinkedIn", "LinkedIn"),
    "tiktok": Words("TikTok", "TikTok"),
    "youtube": Words("YouTube", "YouTube"),
    "telegram": Words("Telegram", "Telegram"),
    "other": Words("Other", "Autre"),
}


class Wording:
    """Says a digest's parts in one language; holds no layout."""

    def __init__(self, language: str, digest: Digest) -> None:
        self.language, self.digest = language, digest

    def say(self, key: str, *parts: str) -> str:
        return SAY[key].of(self.language).format(*parts)

    @property
    def colon(self) -> str:
        return SPACE["fr"] + ": " if self.language == "fr" else ": "

    @property
    def semicolon(self) -> str:
        return NARROW + "; " if self.language == "fr" else "; "

    def heads(self) -> tuple[str, ...]:
        """Of the headline figures, one per part of a row."""
        return tuple(self.say(name) for name in ("figure", "value", "n", "change", "goal"))

    def title(self) -> str:
        return self._about("support", self.digest.period)

    def versus(self) -> str:
        if all(line.verdict == "alone" for line in self.digest.lines):
            return self.say("alone")
        return self._about("versus", self.digest.before)

    def _about(self, phrase: str, period: Period) -> str:
        several = len(days(period, self.digest.zone)) > 1
        return self.say(f"{phrase} over" if several else phrase, self.period(period))

    def period(self, period: Period) -> str:
        """ "Friday 20 November 2026", or "16 November 2026 to 22 November 2026"."""
        all_days = days(period, self.digest.zone)
        if len(all_days) == 1:
            return day(all_days[0], self.language)
        return self.say("range", self._date(all_days[0]), self._date(all_days[-1]))

    def _date(self, when: date) -> str:
        return day(when, self.language, weekday=False)

    def label(self, line: Line) -> str:
        """The KPI's title, with the promise it is about and the clock it is on where there are several."""
        clock = f" ({self.say('business')})" if line.value.clock == "business" else ""
        return self.column(line.title, line.value.by.get("promise")) + clock

    def column(self, title: Words, promise: str | None) -> str:
        """A KPI's title, with the promise it is about where there are several."""
        return title.of(self.language) + (f" – {self.say(promise)}" if promise else "")

    def value(self, value: Value) -> str:
        return self.amount(value.value, value.unit, value.clock)

    def amount(self, amount: float | None, unit: str, clock: str | None = None) -> str:
        if amount is None:
            return self.say("no data")
        if unit == "seconds":
            return duration(amount, self.language, days=clock != "business")
        if unit == "percent":
            return percent(amount, self.language)
        return number(amount, self.language, 0 if unit == "count" else 2)

    def of(self, value: Value) -> str:
        """ "n = 48", or nothing for a count, which is its own n."""
        return "" if value.unit == "count" else f"n = {number(value.n, self.language)}"

    def change(self, line: Line) -> str:
        """What became of the figure, with what it was; nothing where there is nothing to compare with."""
        if line.change is None or line.before is None:
            return ""
        was = self.say("was", self.value(line.before))
        return f"{self._moved(line)} ({was})"

    def _moved(self, line: Line) -> str:
        found = line.change
        if found is None or not found.clear:
            return self.say("no change")
        sign = "+" if found.difference > 0 else ""
        if line.value.unit == "percent":
            points = "point" if abs(round(found.difference, 1)) < 2 else "points"
            return self.say(points, sign + number(found.difference, self.language, 1))
        if found.relative is None:
            return sign + self.amount(found.difference, line.value.unit, line.value.clock)
        return sign + percent(100 * found.relative, self.language, 0)

    def target(self, line: Line) -> str:
        if line.target is None or line.meets is None:
            return ""
        amount = self.amount(line.target, line.value.unit, line.value.clock)
        if line.value.unit == "percent" and line.target.is_integer():
            amount = percent(line.target, self.language, 0)
        return f"{self.say('target', amount)}{self.colon}{self.say('met' if line.meets else 'missed')}"

    def without_data(self) -> str:
        """The figures that there is nothing to say about, in one line: those that no source can feed by themselves."""
        empty: dict[tuple[str, ...], dict[str, None]] = {(): {}}
        for line in self.digest.lines:
            if line.empty:
                empty.setdefault(line.unfed, {})[self.label(line)] = None
        heads = {names: self.say("unfed", ", ".join(names)) if names else self.say("without") for names in empty}
        return " ".join(f"{heads[names]}{self.colon}{', '.join(labels)}." for names, labels in empty.items() if labels)

    def cell(self, cell: Cell) -> str:
        """A figure in a table: "–" for none, "!" behind one that misses its target (see ``below``)."""
        if cell.value is None:
            return "–"
        return self.amount(cell.value, cell.unit, "calendar") + (SPACE[self.language] + "!") * (cell.meets is False)

    def below(self) -> str:
        """What the "!" in the tables means, if there is any."""
        cells = [cell for table in self.digest.tables for _, row in table.rows for cell in row]
        return self.say("below") if any(cell.meets is False for cell in cells) else ""

    def group(self, by: str, name: str | None) -> str:
        if name is None:
            return self.say(f"no-{by}")
        if by == "channel" and name in CHANNELS:
            return CHANNELS[name].of(self.language)
        return " ".join(name.split())  # a team's name is whatever somebody typed; a line break would break the table

    def look(self, look: Look) -> str:
        """Why a conversation is worth a look."""
        score = number(look.figure, self.language, 0 if look.figure.is_integer() else 1)
        figure = score if look.why == "low-rated" else duration(look.figure, self.language)
        return self.say(look.why, figure, self._detail(look))

    def _detail(self, look: Look) -> str:
        if look.why == "low-rated":
            return self.say("scale", *look.detail.split("–"))
        return self.say(look.detail) if look.why == "breached" else ""

    def age(self) -> str:
        """How old and how complete the data is, in one sentence."""
        found = self.digest
        until = found.data_until
        head = self.say("no sync") if until is None else self.say("data of", moment(until, found.tz, self.language))
        rejects = [self._reason(reason) for reason in found.reasons if reason.what == "rejects"]
        open_ones = [self._reason(reason) for reason in found.reasons if reason.what != "rejects"]
        state = self.say("incomplete", self.semicolon.join(open_ones)) if open_ones else self.say("complete")
        return self.semicolon.join([f"{head}, {state}", *rejects]) + f" ({self.say('zone', found.zone)})."

    def _reason(self, reason: Reason) -> str:
        if reason.what == "rejects":
            return self.say("rejects", number(reason.number, self.language))
        at = moment(reason.at, self.digest.tz, self.language) if reason.at else "?"
        return self.say(reason.what, reason.name, at)

    def summary(self) -> str:
        """The digest in one line: for a notification, and as all there is to say of a quiet period."""
        shown = [
            f"{line.title.of(self.language)}{self.colon}{self.value(line.value)}"
            for line in self.digest.lines
            if line.value.value is not None and line.value.clock != "business" and line.value.key in SUMMED
        ]
        worse, better = (len(self.digest.of(verdict)) for verdict in ("worse", "better"))
        if self.digest.quiet:
            head = self.say("quiet")
        else:
            head = self.say("moves", str(worse), str(better)) if worse or better else ""
        return f"{self.title()}{self.colon}{self.semicolon.join(filter(None, [head, *shown]))}."


SUMMED = ("conversation_volume", "first_response_time", "csat", "backlog")
