"""The demo desk: a French shop that sells abroad. Its inboxes, teams, people, and what is said there. Data only."""

from __future__ import annotations

from typing import Any, NamedTuple

ZONE = "Europe/Paris"
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri")


def _week(*spans: str) -> dict[str, Any]:
    return {"zone": ZONE, "hours": {day: list(spans) for day in WEEKDAYS}}


OFFICE = _week("09:00-18:00")
ALWAYS = {"zone": ZONE, "hours": {day: ["00:00-24:00"] for day in (*WEEKDAYS, "sat", "sun")}}


class Desk(NamedTuple):
    """An inbox and how it feels: ``share`` of conversations, median seconds until agent and customer answer."""

    id: str
    name: str
    channel: str
    schedule: dict[str, Any] | None
    share: float
    agent_s: int
    customer_s: int
    bot: str | None = None
    survey: bool = True


DESKS = (
    Desk("1", "Service client", "email", OFFICE, 26, 7800, 14400),
    Desk("2", "Comptabilité", "email", OFFICE, 10, 9000, 18000),
    Desk("3", "Site web", "live_chat", _week("09:00-12:30", "13:30-18:00"), 24, 200, 75, bot="Léo"),
    Desk("4", "WhatsApp", "whatsapp", ALWAYS, 22, 900, 420, bot="Léo"),
    Desk("5", "Instagram", "instagram", OFFICE, 11, 3000, 1500, survey=False),
    Desk("6", "X", "x", None, 7, 2400, 1800, survey=False),
)
TEAMS = {"1": "Support", "2": "Facturation", "3": "Sales"}
AGENTS = {
    "1": (("1", "Camille Moreau"), ("2", "Tomasz Nowak"), ("3", "Aïcha Benali"), ("4", "Hugo Lefèvre")),
    "2": (("5", "Inès Garcia"), ("6", "Jean-Baptiste Roux"), ("7", "Priya Raman")),
    "3": (("8", "Oliver Smith"), ("9", "Élodie Petit")),
}
BOT = {"type": "agent", "id": "bot-leo", "name": "Léo", "bot": True}


class Topic(NamedTuple):
    team: str
    weight: float
    tag: str
    questions: dict[str, tuple[str, ...]]


TOPICS = (
    Topic("1", 26, "delivery", {
        "fr": ("Bonjour, où en est ma commande ? Le suivi ne bouge plus depuis trois jours.",
               "Mon colis est indiqué livré mais je n'ai rien reçu, pouvez-vous vérifier ?"),
        "en": ("Hi, my parcel has been stuck in transit since Monday. Any news?",
               "The tracking says delivered but nothing is here."),
    }),
    Topic("1", 16, "bug", {
        "fr": ("Impossible de me connecter à mon compte, le mot de passe est refusé.",
               "Le paiement tourne dans le vide sur mobile, j'ai essayé deux fois."),
        "en": ("I cannot log in any more, it says my password is wrong.",
               "The checkout page freezes when I press pay. Firefox on Linux."),
    }),
    Topic("1", 14, "return", {
        "fr": ("Je souhaite échanger ma veste contre une taille M, comment faire ?",
               "L'article est arrivé abîmé, je voudrais le renvoyer."),
        "en": ("How can I send back the blue one? It does not fit.",
               "The lamp arrived broken, I would like to return it please."),
    }),
    Topic("2", 15, "refund", {
        "fr": ("Je n'ai toujours pas reçu mon remboursement du mois dernier.",
               "J'ai été débité deux fois pour la même commande !"),
        "en": ("I was charged twice for one order, please refund me.", "When will I see my money back?"),
    }),
    Topic("2", 10, "invoice", {
        "fr": ("Pourriez-vous m'envoyer la facture au nom de ma société ?",
               "Il manque le numéro de TVA sur ma facture."),
        "en": ("Could you send me an invoice with our VAT number?",
               "The amount on the invoice differs from what I paid."),
    }),
    Topic("3", 12, "quote", {
        "fr": ("Faites-vous un tarif pour vingt pièces ?", "Bonjour, j'aimerais un devis pour notre bureau."),
        "en": ("Do you give a discount on thirty pieces?", "We would like a quote for our new office."),
    }),
    Topic("3", 7, "stock", {
        "fr": ("Quand le modèle vert sera-t-il de nouveau disponible ?",),
        "en": ("Is the green one coming back in stock before Christmas?",),
    }),
)  # fmt: skip

REPLIES = {
    "fr": ("Bonjour, merci pour votre message. Je regarde cela tout de suite.",
           "Je viens de vérifier : c'est en ordre de notre côté, vous recevrez une confirmation dans la journée.",
           "Pouvez-vous me donner votre numéro de commande, s'il vous plaît ?",
           "C'est fait. N'hésitez pas à revenir vers nous.",
           "Je transmets à l'entrepôt et je reviens vers vous dès que j'ai une réponse."),
    "en": ("Hello, thank you for writing. I am looking into it right now.",
           "I have just checked: all is fine on our side, you will get a confirmation today.",
           "Could you give me your order number, please?",
           "Done. Do come back to us if anything is missing.",
           "I am asking the warehouse and will be back with an answer."),
}  # fmt: skip
FOLLOW_UPS = {
    "fr": ("Le numéro est 48213.", "D'accord, et cela prendra combien de temps ?", "Toujours rien de mon côté…",
           "Je viens d'essayer, cela ne marche pas."),
    "en": ("It is order 48213.", "All right, how long will it take?", "Still nothing here…",
           "I have just tried and it does not work."),
}  # fmt: skip
THANKS = {"fr": ("Merci beaucoup !", "Parfait, merci.", "Super, bonne journée"), "en": ("Thanks!", "Great, thank you")}
AGAIN = {
    "fr": ("Bonjour, le problème est revenu.", "Finalement ce n'est pas réglé, pouvez-vous regarder encore ?"),
    "en": ("Hello, it happened again.", "It is not solved after all, could you have another look?"),
}
NOTES = {
    "fr": ("Client fidèle, soigner la réponse.", "Vu avec la compta : avoir en cours."),
    "en": ("Regular customer, handle with care.", "Asked the warehouse, answer expected tomorrow."),
}
BOT_HELLO = {
    "fr": "Bonjour, je suis Léo, l'assistant. Que puis-je faire pour vous ?",
    "en": "Hello, I am Léo, the assistant. What can I do for you?",
}
BOT_ANSWERS = {
    "fr": ("Le suivi de votre commande se trouve dans votre compte, rubrique Commandes.",
           "Vous disposez de 30 jours pour un retour ; voici le formulaire."),
    "en": ("You can follow your order in your account, under Orders.",
           "You have 30 days for a return; here is the form."),
}  # fmt: skip
BOT_HANDS_OVER = {"fr": "Je vous passe un collègue.", "en": "I am passing you to a colleague."}
ASK_HUMAN = {"fr": "Je voudrais parler à quelqu'un.", "en": "Can I talk to a person?"}
GREETING = {
    "fr": "Merci de nous avoir écrit, nous vous répondons dès que possible.",
    "en": "Thank you for writing, we will answer as soon as we can.",
}
CLOSED = {
    "fr": "Nous sommes fermés pour le moment et vous répondrons à l'ouverture.",
    "en": "We are closed at the moment and will answer when we open.",
}
OUTBOUND = {
    "fr": "Bonjour, votre commande 48213 aura deux jours de retard : préférez-vous l'attendre ou l'annuler ?",
    "en": "Hello, your order 48213 will be two days late: would you rather wait or cancel it?",
}
CAMPAIGN = {
    "fr": "Nos ventes privées d'automne commencent : -20 % jusqu'à dimanche.",
    "en": "Our autumn sale begins: 20 % off until Sunday.",
}
SPAM = ("We can bring your website to page one of all search engines.", "Dear sir, urgent business proposal.")
FIRST_NAMES = ("Ada", "Bruno", "Chloé", "David", "Emma", "Farid", "Giulia", "Hannah", "Ibrahim", "Jeanne", "Karim",
               "Léa", "Marek", "Nadia", "Olivier", "Paul", "Quentin", "Rosa", "Sofia", "Théo", "Ugo", "Valérie",
               "Wei", "Yasmine", "Zoé")  # fmt: skip
LAST_NAMES = ("Martin", "Dubois", "Rossi", "Schmidt", "Kowalski", "Silva", "Andersson", "Diallo", "Nguyen", "O'Brien",
              "Fernández", "Janssens", "Bernard", "Haddad", "Weber", "Lopez", "Tremblay", "Novák", "Caron",
              "Ito")  # fmt: skip
