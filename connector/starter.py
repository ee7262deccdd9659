"""The commented ``deskpulse.toml`` that ``init`` writes.

Prose begins with "# ", a setting that is not used with "#" alone: taking all of those away leaves a valid config too.
The services' part is printed from the adapters' own Settings, the rules' part from the rules.
"""

from __future__ import annotations

import json
import re
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from connector import registry
from connector.push.rules import KINDS, Kind

if TYPE_CHECKING:
    from pydantic import BaseModel
    from pydantic.fields import FieldInfo

WIDTH = 112

TEXTS = {
    "en": """\
# Deskpulse. A line that begins with "#" and a blank explains; take the "#" away from any other to use it.
# Then run `deskpulse doctor`: it tests what is written here.

# All days, weeks and hours are of this time zone. Check it: every figure depends on it.
zone = {zone}
# The language of the digest and of the notes: en or fr.
language = "en"
# The store, one file; relative to this one.
database = "deskpulse.db"

# By name or id: accounts that sit on an agent's seat and are bots; seats that look like bots and are people.
#bots = ["Reply Bot"]
#agents = ["Night Team"]
# A rating is positive from this score on, of 1 to 5.
#csat_positive_from = 4


# ---- Services: keep one or more ----
# A secret stays out of this file. "env:NAME" is an environment variable, "file:PATH" a file that only you can read,
# "keyring:SERVICE/USER" an entry of this machine's keyring. A setting that is left out is looked for in the
# environment under the section's and its own name, like {variable}.
# A second account of the same service is a section with a name of its own and a line adapter = "{first}".

{services}
# ---- Opening hours: what business time is counted in, for inboxes that bring none ----
#[calendar]
#holidays = ["2026-12-25", "2027-01-01"]
#[calendar.hours]
#mon = ["09:00-12:30", "13:30-18:00"]
#tue = ["09:00-18:00"]
#wed = ["09:00-18:00"]
#thu = ["09:00-18:00"]
#fri = ["09:00-17:00"]
# An inbox with hours of its own, by its name:
#[calendar.inboxes."Night desk".hours]
#sat = ["20:00-24:00"]

# ---- Promises: what sla_attainment is measured against ----
#[[sla]]
#metric = "first_response_time"
#target = "4h"
#clock = "business"
#since = 2026-01-01
# A channel's own promise goes before the general one.
#[[sla]]
#metric = "first_response_time"
#target = "5m"
#channel = "live_chat"

# ---- Writing back: tags and internal notes in the inbox, never a message to a customer ----
# `deskpulse push --plan` shows what would be written; nothing is written while this is false.
[push]
enabled = false
# At most this many tags and notes a day.
#daily_budget = 50
# Our tags begin with it; others are never touched.
#prefix = "deskpulse-"
# Only what happened in the last days is pointed at.
#days = 7
# A rule tags the conversations it points at; note = true adds a note that says why.

{rules}
# ---- The digest ----
#[digest]
# Where to: names of services from above.
#to = {chats}
# Of each day or of each week.
#period = "day"

# ---- When `deskpulse run` does what: minute, hour, day, month, weekday ----
[schedule]
sync = "*/15 * * * *"
#push = "5 * * * *"
#digest = "0 8 * * mon-fri"

# ---- Privacy ----
[privacy]
# Message texts are not kept; a number keeps them for so many days.
keep_bodies_days = 0
# No figure is shown by agent below this many conversations.
#agent_min_n = 5
""",
    "fr": """\
# Deskpulse. Une ligne qui commence par « # » et une espace explique ; ôtez le « # » de toute autre pour l'utiliser.
# Lancez ensuite `deskpulse doctor` : il essaie ce qui est écrit ici.

# Les jours, semaines et heures sont de ce fuseau horaire. Vérifiez-le : tous les chiffres en dépendent.
zone = {zone}
# La langue du bilan et des notes : en ou fr.
language = "fr"
# La base, un seul fichier ; relatif à celui-ci.
database = "deskpulse.db"

# Par nom ou numéro : comptes sur un siège d'agent qui sont des robots ; sièges d'aspect robot qui sont des personnes.
#bots = ["Robot de réponse"]
#agents = ["Équipe de nuit"]
# Une note est positive à partir de cette valeur, de 1 à 5.
#csat_positive_from = 4


# ---- Services : gardez-en un ou plusieurs ----
# Un secret reste hors de ce fichier. "env:NOM" est une variable d'environnement, "file:CHEMIN" un fichier que vous
# seul pouvez lire, "keyring:SERVICE/COMPTE" une entrée du trousseau de cette machine. Un réglage absent est cherché
# dans l'environnement sous le nom de la section suivi du sien, comme {variable}.
# Un second compte du même service est une section qui a son propre nom et une ligne adapter = "{first}".
# Ce que dit chaque réglage d'un service est en anglais, comme les guides du README.

{services}
# ---- Heures d'ouverture : le temps ouvré, pour les boîtes qui n'ont pas les leurs ----
#[calendar]
#holidays = ["2026-12-25", "2027-01-01"]
#[calendar.hours]
#mon = ["09:00-12:30", "13:30-18:00"]
#tue = ["09:00-18:00"]
#wed = ["09:00-18:00"]
#thu = ["09:00-18:00"]
#fri = ["09:00-17:00"]
# Une boîte qui a ses propres heures, par son nom :
#[calendar.inboxes."Permanence".hours]
#sat = ["20:00-24:00"]

# ---- Engagements : ce que mesure sla_attainment ----
#[[sla]]
#metric = "first_response_time"
#target = "4h"
#clock = "business"
#since = 2026-01-01
# L'engagement propre à un canal passe avant le général.
#[[sla]]
#metric = "first_response_time"
#target = "5m"
#channel = "live_chat"

# ---- Écriture : étiquettes et notes internes dans la boîte, jamais de message à un client ----
# `deskpulse push --plan` montre ce qui serait écrit ; rien n'est écrit tant que ceci est false.
[push]
enabled = false
# Au plus tant d'étiquettes et de notes par jour.
#daily_budget = 50
# Nos étiquettes commencent ainsi ; les autres ne sont jamais touchées.
#prefix = "deskpulse-"
# Seul ce qui est arrivé dans les derniers jours est signalé.
#days = 7
# Une règle étiquette les conversations qu'elle signale ; note = true ajoute une note qui dit pourquoi.

{rules}
# ---- Le bilan ----
#[digest]
# Destinataires : noms de services ci-dessus.
#to = {chats}
# De chaque jour (day) ou de chaque semaine (week).
#period = "day"

# ---- Quand `deskpulse run` fait quoi : minute, heure, jour, mois, jour de la semaine ----
[schedule]
sync = "*/15 * * * *"
#push = "5 * * * *"
#digest = "0 8 * * mon-fri"

# ---- Vie privée ----
[privacy]
# Les textes des messages ne sont pas conservés ; un nombre les garde tant de jours.
keep_bodies_days = 0
# Aucun chiffre par agent en dessous de tant de conversations.
#agent_min_n = 5
""",
}


def starter(language: str, zone: str) -> str:
    """The config to begin with, in English or French."""
    from connector.secrets import environment_name, secret_fields

    adapters = registry.adapters()
    secrets = [(name, field) for name, cls in adapters.items() for field in sorted(secret_fields(cls.Settings))]
    return TEXTS[language].format(
        zone=json.dumps(zone),
        first=secrets[0][0],
        variable=environment_name(*secrets[0]),
        services="\n".join(_service(name, cls.Settings) for name, cls in adapters.items()),
        rules="\n".join(_rule(kind, language) for kind in KINDS.values()),
        chats=json.dumps([name for name, cls in adapters.items() if hasattr(cls, "announce")]),
    )


def machine_zone() -> str:
    """This machine's time zone where it says one, else UTC."""
    parts = Path("/etc/localtime").resolve().parts
    name = "/".join(parts[parts.index("zoneinfo") + 1 :]) if "zoneinfo" in parts else "UTC"
    try:
        return ZoneInfo(name).key
    except (KeyError, ValueError, OSError):
        return "UTC"


def _service(name: str, model: type[BaseModel]) -> str:
    lines = [f"#[services.{name}]", *_prose((vars(model).get("__doc__") or "").replace("``", "`"))]
    for field, about in model.model_fields.items():
        lines += [*_prose(about.description or ""), f"#{field} = {_example(name, field, about)}"]
    return _text(lines)


def _example(service: str, field: str, about: FieldInfo) -> str:
    """The default where there is one; else something of the right type."""
    from connector.secrets import environment_name, is_secret

    if is_secret(about):
        return json.dumps(f"env:{environment_name(service, field)}")
    if about.is_required() or about.default is None:
        plain = ((bool, "false"), (int, "1"), (float, "1.0"))
        return next((text for kind, text in plain if about.annotation is kind), '"…"')
    default = about.get_default(call_default_factory=True)
    if isinstance(default, float):
        return f"{default:.3g}"
    return json.dumps(default.pattern if isinstance(default, re.Pattern) else default, ensure_ascii=False, default=str)


def _rule(kind: Kind, language: str) -> str:
    over = [f'#over = "{kind.over_s / 3600:g}h"'] if kind.over_s else []
    prose = _prose(f"{kind.title[language]}. {kind.meaning[language]}")
    return _text([*prose, f"#[push.rules.{kind.name}]", *over, "#note = true"])


def _prose(text: str) -> list[str]:
    return [f"# {line}" for line in textwrap.wrap(text, WIDTH, break_on_hyphens=False)]


def _text(lines: list[str]) -> str:
    return "".join(f"{line}\n" for line in lines)
