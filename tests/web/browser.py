"""Driving the real pages in a real browser."""

from playwright.sync_api import Page, expect

from tests.conftest import PASSWORD


def sign_in(page: Page, served, email: str, password: str = PASSWORD) -> None:
    """Signs in through the form."""
    page.goto(f"{served.url}/sign-in")
    page.get_by_label("E-mail").fill(email)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_label("Find a lead")).to_be_visible()
