import csv
import io
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tessera.ledger.currencies import MINOR_DIGITS, minor_micro
from tessera.payouts.items import Item, items_sha256
from tessera.payouts.manual import decimal, harmless, to_csv

BATCH = UUID(int=7)


def an_item(number: int, amount_micro: int = 1_500_000, **changes: Any) -> Item:
    item = Item(
        id=UUID(int=number),
        earner_id=UUID(int=number + 100),
        currency="EUR",
        amount_micro=amount_micro,
        rail="manual",
        destination={"holder": "Ada", "iban": "DE89370400440532013000"},
    )
    return replace(item, **changes)


def rows(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode(), newline="")))


def test_m43_the_file_is_what_it_was_yesterday() -> None:
    assert to_csv(BATCH, [an_item(2, 20_000), an_item(1)]) == (
        b"batch_id,item_id,earner_ref,holder,iban,account,net,currency,rail,reference\r\n"
        b"00000000-0000-0000-0000-000000000007,00000000-0000-0000-0000-000000000001,"
        b"00000000-0000-0000-0000-000000000065,Ada,DE89370400440532013000,,1.50,EUR,manual,"
        b"00000000000000000000000000000001\r\n"
        b"00000000-0000-0000-0000-000000000007,00000000-0000-0000-0000-000000000002,"
        b"00000000-0000-0000-0000-000000000066,Ada,DE89370400440532013000,,0.02,EUR,manual,"
        b"00000000000000000000000000000002\r\n"
        b"total,2,,,,,1.52,EUR,,\r\n"
    )


@given(st.lists(st.integers(1, 10**9), min_size=1, max_size=20), st.randoms())
def test_m26_the_lines_sum_to_the_total_and_their_order_does_not_matter(
    cents: list[int], random: Any
) -> None:
    items = [an_item(i, cent * 10_000) for i, cent in enumerate(cents)]
    shuffled = items.copy()
    random.shuffle(shuffled)
    assert to_csv(BATCH, shuffled) == to_csv(BATCH, items)
    assert items_sha256(shuffled) == items_sha256(items)
    *lines, total = rows(to_csv(BATCH, items))
    assert sum(round(float(line["net"]) * 100) for line in lines) == sum(cents)
    assert total["item_id"] == str(len(cents))
    assert total["net"] == decimal(sum(cents) * 10_000, "EUR")


@given(st.text(max_size=20))
def test_no_cell_is_a_formula_to_a_spreadsheet(text: str) -> None:
    cell = harmless(text)
    assert cell.endswith(text)
    assert cell.lstrip()[:1] not in set("=+-@＝＋－＠")  # noqa: RUF001
    assert cell[:1] not in {"\t", "\r", "\n"}


def test_a_name_that_is_a_formula_reaches_the_file_as_text() -> None:
    item = an_item(1, destination={"holder": '=HYPERLINK("x","y")', "account": "+49 1"})
    [line, _] = rows(to_csv(BATCH, [item]))
    assert (line["holder"], line["account"]) == ('\'=HYPERLINK("x","y")', "'+49 1")


@pytest.mark.parametrize(
    ("amount", "currency", "text"),
    [
        (12_340_000, "EUR", "12.34"),
        (10_000, "USD", "0.01"),
        (1_234_000_000, "JPY", "1234"),
        (1_234_000, "KWD", "1.234"),
        (2**62 - 2**62 % 10_000, "EUR", "4611686018427.38"),
    ],
)
def test_amounts_are_written_in_the_units_of_their_currency(
    amount: int, currency: str, text: str
) -> None:
    assert decimal(amount, currency) == text


@given(st.sampled_from(sorted(MINOR_DIGITS)), st.integers(0, 2**62))
def test_m32_no_micro_unit_is_lost_in_writing(currency: str, amount: int) -> None:
    if amount % minor_micro(currency):
        with pytest.raises(ValueError, match="not payable"):
            decimal(amount, currency)
    else:
        whole, _, fraction = decimal(amount, currency).partition(".")
        assert int(whole + fraction) * minor_micro(currency) == amount


@pytest.mark.parametrize(
    "changes",
    [
        {"id": UUID(int=9)},
        {"earner_id": UUID(int=9)},
        {"currency": "USD"},
        {"amount_micro": 1_500_001},
        {"rail": "other"},
        {"destination": {"holder": "Ada", "iban": "GB29NWBK60161331926819"}},
        {"destination": {"holder": "Eve", "iban": "DE89370400440532013000"}},
    ],
)
def test_m27_whatever_of_an_item_changes_changes_the_hash(changes: dict[str, Any]) -> None:
    assert items_sha256([an_item(1, **changes)]) != items_sha256([an_item(1)])
    assert items_sha256([an_item(1), an_item(2)]) != items_sha256([an_item(1)])
