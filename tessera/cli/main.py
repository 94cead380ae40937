"""What may be typed, and what comes of it: results on stdout, progress and refusals on stderr.

A refusal is a line `tessera: <code>: <what and why>`; codes never change. The exit status is 2 if
the command cannot be meant, 1 if an image or a label was refused, and 130 after Ctrl-C.
"""

import argparse
import sys
import textwrap
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NoReturn

import orjson

from tessera.cli import merge, replay, slice  # noqa: A004 - it is the command's name
from tessera.cli.errors import BadUsage, OutExists, Refusals
from tessera.cli.labels import ASKED, SOURCES, USUAL
from tessera.datasets.errors import FormatUnsuited
from tessera.formats import FORMATS
from tessera.images.errors import BadImageName, ImageNameTaken
from tessera.images.policy import SlicePolicy, TileFormat
from tessera.kernel.errors import DomainError
from tessera.kinds import InvalidLabelSchema

REFUSED, USAGE, INTERRUPTED = 1, 2, 130
_MOST_LINES = 20
_OF_USAGE = (
    BadUsage,
    OutExists,
    FormatUnsuited,
    InvalidLabelSchema,
    BadImageName,
    ImageNameTaken,
)
_USUAL = SlicePolicy()
_ABOUT = """\
Cut large images into small overlapping tiles, and merge what was drawn on the tiles into labels of
the whole images. Nothing is needed but the files: no server, no database."""
_ABOUT_SLICE = """\
Cut images into tiles. DIR then has the tiles below tiles/<image>/, a file tiles.json that says
where each lies, and, if there are --labels, the labels of each tile in its own pixels. An image is
called by its path below the folder that all given images have in common."""
_AFTER_SLICE = """\
examples:
  tessera slice photos/*.jpg --tile 640 --margin 64 --out tiles
  tessera slice photos/*.jpg --labels coco.json --kind box --out tiles
  tessera slice a.png --labels a.geojson --format geojson --kind polygon \\
      --classes house,road --picture-format png --out tiles"""
_ABOUT_MERGE = """\
Merge the labels of tiles into labels of whole images: what several tiles show is there once, and
what no tile shows whole is joined. DIR is what `tessera slice` has made; its labels, or --labels in
their place, may have been edited since by anybody, or be the predictions of a model. In them a tile
is an image, called by its path in tiles.json."""
_AFTER_MERGE = """\
examples:
  tessera merge tiles --out merged.json
  tessera merge tiles --labels predictions.json --tiles-as coco --kind box \\
      --format json-lines --out merged.jsonl"""

_ABOUT_REPLAY = """\
Replay recorded answers through the quality engine as if they arrived live: which of them would have
been asked for, what they come to, how sure of it one may be, and who would have been stopped. A
share of the items with truth is gold: known to the engine, as in a project, and not scored."""
_AFTER_REPLAY = """\
policy: gold_share, min_overlap, max_overlap, target_confidence, minimum_trust, price_micro,
wrong_label_micro (docs/operators.md)

examples:
  tessera quality replay --labels labels.csv --truth truth.csv
  tessera quality replay --labels labels.csv --truth truth.csv --policy strict.yaml \\
      --against today.yaml --json"""

_FORMATS = textwrap.fill(f"formats: {', '.join(sorted(FORMATS))}", 80, break_on_hyphens=False)


class Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(USAGE, f"tessera: {BadUsage.code}: {message}\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit status."""
    options = _parser().parse_args(arguments)
    try:
        told = options.run(options, _say)
    except DomainError as error:
        return _refuse([error])
    except Refusals as refused:
        return _refuse(refused.exceptions)
    except OSError as error:
        _say(f"tessera: os-error: {error}")
        return REFUSED
    except KeyboardInterrupt:
        return INTERRUPTED
    sys.stdout.write((orjson.dumps(told).decode() if options.json else options.tell(told)) + "\n")
    return 0


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")


def _refuse(errors: Sequence[Exception]) -> int:
    refused = [each for each in errors if isinstance(each, DomainError)]
    for error in refused[:_MOST_LINES]:
        code, file = error.facts.get("reason", error.code), error.facts.get("file")
        _say(f"tessera: {code}: {'' if file is None else f'{file}: '}{error.detail}")
    if len(refused) > _MOST_LINES:
        _say(f"tessera: and {len(refused) - _MOST_LINES} more")
    return USAGE if all(isinstance(each, _OF_USAGE) for each in refused) else REFUSED


def _tell_slice(told: dict[str, Any]) -> str:
    lines = [f"{told['index']}: {_some(told, 'tiles')} of {_some(told, 'images')}"]
    if "labels" in told:
        lines.append(f"{told['labels']}: {told['kind']}, {_some(told, 'objects')} on tiles")
        if unknown := told["tiles"] - told["labelled"]:
            lines.append(f"of {unknown} tiles the labels do not tell the answer: fill them in")
    return "\n".join(lines)


def _tell_merge(told: dict[str, Any]) -> str:
    lines = [f"{told['out']}: {_some(told, 'objects')} on {_some(told, 'images')}"]
    if told["loses"]:
        lines.append(f"{told['format']} cannot hold: {', '.join(told['loses'])}")
    return "\n".join(lines)


def _some(told: dict[str, Any], what: str) -> str:
    return f"{told[what]} {what.removesuffix('s') if told[what] == 1 else what}"


def _parser() -> Parser:
    parser = Parser("tessera", description=_ABOUT)
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    _of_slice(_command(commands, "slice", "cut images into tiles", _ABOUT_SLICE, _AFTER_SLICE))
    _of_merge(_command(commands, "merge", "merge labels of tiles", _ABOUT_MERGE, _AFTER_MERGE))
    quality = commands.add_parser("quality", help="replay recorded answers under a policy")
    of_quality = quality.add_subparsers(metavar="COMMAND", required=True)
    _of_replay(
        of_quality.add_parser(
            "replay",
            help="recorded answers, as if they arrived live",
            description=_ABOUT_REPLAY,
            epilog=_AFTER_REPLAY,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
    )
    return parser


def _command(
    commands: "argparse._SubParsersAction[Parser]", name: str, short: str, about: str, after: str
) -> Parser:
    return commands.add_parser(
        name,
        help=short,
        description=about,
        epilog=f"{_FORMATS}\n{after}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def _of_slice(parser: Parser) -> None:
    parser.set_defaults(run=slice.run, tell=_tell_slice)
    parser.add_argument(
        "images", nargs="+", type=Path, metavar="IMAGE", help="JPEG, PNG, WebP, TIFF"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="a new folder")
    _json(parser)
    cut = parser.add_argument_group("how to cut")
    cut.add_argument(
        "--tile", type=_whole(1), default=_USUAL.tile, metavar="N", help="side, pixels (512)"
    )
    cut.add_argument(
        "--margin",
        type=_whole(0),
        default=_USUAL.margin,
        metavar="N",
        help="context around each tile's own part, pixels (32)",
    )
    cut.add_argument("--whole", action="store_true", help="one tile for each image")
    cut.add_argument(
        "--picture-format",
        choices=[each.value for each in TileFormat],
        default=_USUAL.format.value,
        help="of the tiles (jpeg)",
    )
    cut.add_argument(
        "--quality",
        type=_whole(1, 100),
        default=_USUAL.quality,
        metavar="N",
        help="1 to 100, of jpeg and webp (90)",
    )
    known = parser.add_argument_group("labels of the images, if they have some")
    known.add_argument("--labels", type=Path, metavar="PATH", help="a file, archive or folder")
    _format(known, SOURCES)
    _of_labels(known)
    known.add_argument(
        "--tiles-as",
        choices=sorted(SOURCES),
        default=USUAL,
        metavar="FORMAT",
        help="format of the labels of the tiles (json-lines)",
    )


def _of_merge(parser: Parser) -> None:
    parser.set_defaults(run=merge.run, tell=_tell_merge)
    parser.add_argument("folder", type=Path, metavar="DIR", help="made by `tessera slice`")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="a new file")
    _json(parser)
    _format(parser, FORMATS)
    drawn = parser.add_argument_group("labels of the tiles, if not those in the folder")
    drawn.add_argument("--labels", type=Path, metavar="PATH", help="a file, archive or folder")
    drawn.add_argument(
        "--tiles-as",
        choices=sorted(SOURCES),
        metavar="FORMAT",
        help="of the labels of the tiles (as sliced)",
    )
    _of_labels(drawn)


def _of_replay(parser: Parser) -> None:
    parser.set_defaults(run=replay.run, tell=replay.tell)
    parser.add_argument(
        "--labels",
        type=Path,
        required=True,
        metavar="FILE",
        help="CSV: item,worker,label; or COCO (.json), each annotation with an annotator",
    )
    parser.add_argument(
        "--truth", type=Path, required=True, metavar="FILE", help="CSV: item,label; or COCO"
    )
    parser.add_argument("--policy", type=Path, metavar="FILE", help="YAML (the usual policy)")
    parser.add_argument("--against", type=Path, metavar="FILE", help="another, to compare with")
    _json(parser)
    drawn = parser.add_argument_group("of COCO files: what was drawn")
    _of_labels(drawn)


def _format(parser: "argparse._ActionsContainer", formats: Iterable[str]) -> None:
    parser.add_argument(
        "--format", choices=sorted(formats), default="coco", metavar="FORMAT", help="of it (coco)"
    )


def _of_labels(group: "argparse._ArgumentGroup") -> None:
    group.add_argument("--kind", choices=ASKED, metavar="KIND", help=", ".join(ASKED))
    asked = group.add_mutually_exclusive_group()
    asked.add_argument(
        "--classes", metavar="NAME,…", help="their classes (all categories of a COCO file)"
    )
    asked.add_argument(
        "--schema", type=Path, metavar="FILE", help="or a label schema, as JSON (docs/operators.md)"
    )


def _json(parser: Parser) -> None:
    parser.add_argument("--json", action="store_true", help="print the summary as JSON")


def _whole(least: int, most: int = 2**31) -> Any:
    def whole(text: str) -> int:
        if not text.isdecimal() or not least <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"{text!r} is no whole number from {least}")
        return int(text)

    return whole
