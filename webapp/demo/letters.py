"""Letters: the demo's four e-mail templates."""

from typing import Any

from webapp.demo.layout import button, columns, link, page, panel, paragraphs, stories, title

SITE = "https://www.example.com"
HELLO = 'Hi {{ first_name|default("there", true) }},'
AGENT = '{{ agent_name|default("Your service team", true) }}<br>{{ company_name }}'

RENEWAL: dict[str, Any] = {
    "name": "Renewal reminder",
    "category": "retention",
    "description": "Some weeks before a policy renews: what renews when, and how to change something first.",
    "subject_line": (
        "{% if renewal_date %}Your {{ policy_type }} policy renews on {{ renewal_date }}"
        "{% else %}Your policy is coming up for renewal{% endif %}"
    ),
    "preview_text": "Nothing to do if all is well. Two minutes if something has changed.",
    "html_content": page(
        "Your policy renews soon",
        [
            title("Your cover continues. Is it still the right one?"),
            paragraphs(
                HELLO,
                "{% if renewal_date %}Your {{ policy_type }} policy renews on <strong>{{ renewal_date }}</strong>."
                "{% else %}Your policy with us is coming up for renewal.{% endif %} If nothing in your life has"
                " changed, you need not do anything: it carries on as it is, without a gap.",
            ),
            panel({
                "Policy:": '{{ policy_number|default("see your documents", true) }}',
                "Cover:": '{{ policy_type|default("insurance", true)|title }}',
                "Yearly premium:": '{{ premium_amount|money("$")|default("see your documents", true) }}',
                "Renews on:": '{{ renewal_date|default("see your documents", true) }}',
            }),
            paragraphs(
                "A year is a long time, though. A new car, a new roof, a teenager with a license, fewer miles to work:"
                " each of these can change what you need, and often what you pay.",
            ),
            button("Review my renewal", f"{SITE}/renew"),
            paragraphs(
                "Last year one review in three ended with a lower premium. Some discounts people forget:"
                f" {link('see the list', f'{SITE}/discounts')}. Rather talk it through?"
                f" {link('Ask us to call you', f'{SITE}/contact')}.",
            ),
        ],
        AGENT,
        "You receive this because a policy of yours is about to renew.",
    ),
}  # fmt: skip

WELCOME: dict[str, Any] = {
    "name": "Welcome",
    "category": "acquisition",
    "description": "The first letter to a new lead: who we are and three easy next steps.",
    "subject_line": "Welcome{% if first_name %}, {{ first_name }}{% endif %}: let us find the cover you need",
    "preview_text": "No forms of nine pages. Three questions, one clear quote, a person to ask.",
    "html_content": page(
        "Welcome",
        [
            title("Good to meet you."),
            paragraphs(
                HELLO,
                "Thank you for thinking of {{ company_name }}. We insure families, homes and small businesses"
                "{% if state %} across {{ state }}{% endif %}, and we have one rule: you should understand what you"
                " pay for before you pay for it.",
            ),
            columns(
                ("1. Tell us", "Three questions about what you want to protect. No jargon, no account."),
                ("2. Compare", "Two or three clear offers side by side, the fine print in plain words."),
                ("3. Relax", "Covered the same day. Claims by phone or online, answered within an hour."),
            ),
            button("Get my quote", f"{SITE}/quotes"),
            paragraphs(
                f"Rather read first? {link('Our guide to choosing cover', f'{SITE}/guides/choosing-cover')} takes four"
                f" minutes. Or {link('talk to one of us', f'{SITE}/contact')}, we are up from 8 to 8.",
            ),
        ],
        AGENT,
        "You receive this because you asked us about insurance.",
    ),
}

CROSS_SELL: dict[str, Any] = {
    "name": "Bundle home and auto",
    "category": "upselling",
    "description": "To auto policyholders: what adding the home to the same house saves.",
    "subject_line": (
        "{% if first_name %}{{ first_name }}, your{% else %}Your{% endif %} car is covered. Save on your home too"
    ),
    "preview_text": "Bundling takes ten minutes and saves $312 a year on average.",
    "html_content": page(
        "Bundle home and auto",
        [
            title("One house, one car, one bill."),
            paragraphs(
                HELLO,
                "You already trust us with your {{ policy_type|default(\"auto\", true) }} policy"
                "{% if policy_number %} ({{ policy_number }}){% endif %}. People who add their home to it pay"
                " <strong>$312 less a year</strong> on average, and have one renewal date to remember instead of two.",
            ),
            panel({
                "Bundle discount:": "12% on both policies",
                "One deductible:": "if a storm hits car and home at once",
                "Switching:": "we cancel the old policy for you",
            }),
            button("See my bundle price", f"{SITE}/bundle"),
            paragraphs(
                f"Renting? {link('Renters cover', f'{SITE}/renters')} starts at $14 a month and earns the same discount"
                ' on your car. Not sure what your home would cost to rebuild'
                '{% if city %} in {{ city }}{% endif %}?'
                f" {link('Our calculator', f'{SITE}/rebuild-calculator')} gives you a figure in a minute.",
            ),
        ],
        AGENT,
        "You receive this because you hold an auto policy with us.",
    ),
}  # fmt: skip

NEWSLETTER: dict[str, Any] = {
    "name": "Newsletter",
    "category": "behavioral",
    "description": "Every other month: useful reading about home, car and health, and what is new with us.",
    "subject_line": "Hail, deductibles and a better claims app",
    "preview_text": "What to do in the first hour after a storm, and four other things worth knowing.",
    "html_content": page(
        "The {{ company_name }} letter",
        [
            title("Worth knowing"),
            paragraphs(
                HELLO,
                "Every other month we write down what our claims people wish everybody knew. Five minutes,"
                " nothing to buy.",
            ),
            stories(
                (
                    "The first hour after hail",
                    "Photograph before you tidy, cover what is broken, keep the receipts for the tarpaulin. Claims that"
                    " come with six good pictures are settled nine days sooner than those without.",
                    "The checklist, to print or keep on your phone", f"{SITE}/guides/after-the-storm",
                ),
                (
                    "Is a higher deductible worth it?",
                    "Going from $500 to $1,000 lowers an auto premium by about a tenth. Whether that is a good trade"
                    " depends on one number: how many years you drive between claims.",
                    "Work it out for yourself", f"{SITE}/guides/deductibles",
                ),
                (
                    "Our claims app learned to listen",
                    "Tell it what happened, in English or Spanish, and it fills in the form. A person reads every claim"
                    " the same day, as before.",
                    "See how it works", f"{SITE}/app",
                ),
            ),
            paragraphs(
                "Have a question we should answer next time? Just reply to this message. People read it.",
            ),
        ],
        "Until next time,<br>the people at {{ company_name }}",
        "You receive this because you subscribed to our newsletter.",
    ),
}  # fmt: skip

LETTERS = (RENEWAL, WELCOME, CROSS_SELL, NEWSLETTER)
