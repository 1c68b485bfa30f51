from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest
from export_samples import order_lines, write_table
from test_presets import check_product, read_text

from pricerl.data.config import DataConfig
from pricerl.data.platforms.presets import Preset, find_preset, own_presets, recognise
from pricerl.errors import UsageError

DOCS = Path(__file__).parents[2] / "docs" / "presets.md"

GOOD = {
    "name": "till",
    "platform": "Till",
    "report": "Journal",
    "download": "Back office",
    "confirmed": "our own",
    "grain": "order line",
    "header": ["When", "Pieces", "Paid"],
    "date": {"column": "When"},
    "sums": {"units": '"Pieces"', "revenue": '"Paid"'},
}


def write(folder: Path, **changes: object) -> str:
    path = folder / "till.yaml"
    path.write_bytes(msgspec.yaml.encode({**GOOD, **changes}))
    return str(path)


def test_preset_of_a_user_is_found_by_its_file_and_read(tmp_path: Path) -> None:
    header = ["When", "What", "Pieces", "Paid"]
    sums = {"units": '"Pieces"', "revenue": '"Paid" - 0.19 / 1.19 * "Paid"'}
    path = write(tmp_path, header=header, product=["What"], sums=sums)
    assert find_preset(path).title == "Till, Journal"
    cells = [(f"{line.time:%Y-%m-%d}", line.sku, line.units, round(line.money * 1.19, 6)) for line in order_lines()]
    rows = [dict(zip(header, row, strict=True)) for row in cells]
    history = read_text(tmp_path, write_table(",".join(header), rows), preset=path)
    check_product(history.products[0], "MUG-1")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"grain": "month"}, "Invalid enum value 'month' - at `$.grain`"),
        ({"hedaer": []}, "Object contains unknown field `hedaer`"),
        ({"header": "When"}, "Expected `array`, got `str` - at `$.header`"),
        ({"header": []}, "Expected `array` of length >= 1 - at `$.header`"),
        ({"date": None}, "date must name the column with the day"),
        ({"date": {"column": "Where"}}, "date must name the column with the day"),
        ({"sums": {"units": '"Pieces"'}}, "sums must define revenue"),
        ({"sums": {"units": "1", "revenue": '"Price"'}}, "'Price' in '\"Price\"' is not defined; it may use columns"),
        ({"sums": {"units": "1", "revenue": "Paid"}}, "'Paid' in 'Paid' is not defined; it may use columns of"),
        ({"sums": {"units": "1", "revenue": "open('x')"}}, "may contain only"),
        ({"columns": {"Total Profit": "profit"}}, "it may use names of sums without quotes only"),
        ({"columns": {"Profit": "revenue"}}, "columns: 'Profit' cannot come from sales; did you mean"),
        ({"sums": {}}, "instead must state what to download"),
        ({"kind": "ads", "columns": {"Units": "units"}}, "columns: 'Units' cannot come from ads"),
        ({"skip": {"When": "("}}, "unterminated subpattern"),
        ({"split": {"column": "When", "separator": "", "fields": ["A"]}}, "length >= 1 - at `$.split.separator`"),
    ],
)
def test_faulty_preset_is_refused_in_one_sentence(changes: dict[str, object], words: str, tmp_path: Path) -> None:
    path = write(tmp_path, **changes)
    with pytest.raises(UsageError, match=re.escape(words)) as caught:
        find_preset(path)
    assert re.fullmatch(rf"preset {re.escape(path)}: .*; docs/presets\.md lists the fields", str(caught.value))


def test_file_that_is_no_yaml_or_missing_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "till.yaml"
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        find_preset(str(path))
    path.write_text("name: [")
    with pytest.raises(UsageError, match=r"preset .*till\.yaml: "):
        find_preset(str(path))


def test_an_unknown_preset_or_time_zone_suggests_the_closest() -> None:
    with pytest.raises(UsageError, match="there is no preset 'shopify-order'; did you mean 'shopify-orders'"):
        find_preset("shopify-order")
    with pytest.raises(UsageError, match=r"found 'Europe/Berln'; did you mean 'Europe/Berlin'\?"):
        DataConfig(time_zone="Europe/Berln")


def test_presets_are_named_as_their_files_and_recognise_their_own_header_only() -> None:
    names = [preset.name for preset in own_presets()]
    assert sorted(set(names)) == names
    for preset in own_presets():
        found = recognise(preset.header)
        assert found is (None if preset.name == "order-lines" else preset), preset.name
    assert recognise(["Date", "Price", "Quantity", "Total"]) is None


def test_documentation_has_every_preset_and_every_field() -> None:
    text = DOCS.read_text(encoding="utf-8")
    platforms, fields = text.split("## The presets")[1].split("## Your own preset")
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in platforms.splitlines() if line[:1] == "|"][2:]
    listed = {platform: (download, re.findall(r"`([^`]+)`", names)) for platform, download, names in rows}
    read = [preset for preset in own_presets() if preset.sums and preset.grain != "period"]
    named = [(platform, name) for platform, (_, names) in listed.items() for name in names]
    assert sorted(named) == sorted((preset.platform, preset.name) for preset in read)
    assert all(find_preset(names[0]).download == download for download, names in listed.values())
    refused = platforms.split("instead:")[1]
    assert re.findall(r"`([^`]+)`", refused) == [preset.name for preset in own_presets() if preset not in read]
    assert set(Preset.__struct_fields__) <= set(re.findall(r"`(\w+)`", fields))
