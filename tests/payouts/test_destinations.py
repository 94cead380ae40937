from string import ascii_uppercase, digits
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tessera.payouts.destinations import is_iban, parse
from tessera.payouts.errors import BadDestination
from tests.payouts.world import IBAN

# the examples of the IBAN registry
IBANS = [
    "DE89370400440532013000",
    "GB29NWBK60161331926819",
    "NO9386011117947",
    "MT84MALT011000012345MTLCAST001S",
    "FR1420041010050500013M02606",
]


@pytest.mark.parametrize("iban", IBANS)
def test_ibans_are_taken_with_spaces_and_in_small_letters(iban: str) -> None:
    spaced = " ".join(iban[i : i + 4] for i in range(0, len(iban), 4)).lower()
    assert parse("manual", {"holder": "Ada", "iban": spaced}) == (
        "manual",
        {"holder": "Ada", "iban": iban},
    )


@given(st.sampled_from(IBANS), st.data())
def test_one_wrong_character_of_an_iban_is_noticed(iban: str, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(iban) - 1))
    other = data.draw(st.sampled_from(digits if iban[at] in digits else ascii_uppercase))
    changed = iban[:at] + other + iban[at + 1 :]
    assert is_iban(changed) == (changed == iban)


@given(st.sampled_from(IBANS), st.data())
def test_two_digits_that_changed_places_are_noticed(iban: str, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(iban) - 2))
    swapped = iban[:at] + iban[at + 1] + iban[at] + iban[at + 2 :]
    assert is_iban(swapped) == (swapped == iban)


@given(st.text())
def test_whatever_text_is_sent_it_is_refused_in_words_or_taken(text: str) -> None:
    for field in ("iban", "account"):
        try:
            _, details = parse("manual", {"holder": text, field: text})
        except BadDestination:
            continue
        assert all(value.isprintable() for value in details.values())
        assert details[field].isascii()


def test_where_there_are_no_ibans_an_account_is_enough() -> None:
    _, details = parse("manual", {"holder": " Ada  Lovelace", "account": "021000021 / 123456789"})
    assert details == {"account": "021000021 / 123456789", "holder": "Ada Lovelace"}


@pytest.mark.parametrize(
    ("details", "field"),
    [
        ({}, "details"),
        ({"holder": "Ada"}, "details"),
        ({"iban": IBAN}, "details"),
        ({"holder": "Ada", "iban": IBAN, "account": "12345"}, "details"),
        ({"holder": "Ada", "iban": IBAN, "note": "hello"}, "details"),
        ({"holder": "Ada", "iban": 17}, "iban"),
        ({"holder": ["Ada"], "iban": IBAN}, "holder"),
        ({"holder": " ", "iban": IBAN}, "holder"),
        ({"holder": "A" * 71, "iban": IBAN}, "holder"),
        ({"holder": "Ada\x00", "iban": IBAN}, "holder"),
        ({"holder": "Ada\u202eadA", "iban": IBAN}, "holder"),
        ({"holder": "Ada", "iban": "DE89370400440532013001"}, "iban"),
        ({"holder": "Ada", "iban": "DE8937040044053201300\u0660"}, "iban"),
        ({"holder": "Ada", "iban": ""}, "iban"),
        ({"holder": "Ada", "account": "=HYPERLINK(1)"}, "account"),
        ({"holder": "Ada", "account": "123"}, "account"),
    ],
)
def test_a_destination_money_could_not_reach_is_refused_by_field(
    details: dict[str, Any], field: str
) -> None:
    with pytest.raises(BadDestination) as refused:
        parse("manual", details)
    assert refused.value.facts == {"field": field}


def test_an_unknown_rail_is_refused() -> None:
    with pytest.raises(BadDestination):
        parse("pigeon", {"holder": "Ada", "iban": IBAN})
