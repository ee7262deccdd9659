"""The digest: composed from the figures, worded in English or French, shown or sent once.

``compose`` and the renderers need the standard library alone; ``send`` brings the chat's adapter along when called.
"""

from connector.digest.compose import compose
from connector.digest.model import Digest
from connector.digest.render import markdown, text
from connector.digest.send import SendReport, send

__all__ = ["Digest", "SendReport", "compose", "markdown", "send", "text"]
