"""What CHECKs say of one column, as the server words them: bounds, lists of values, lengths."""

import re
from dataclasses import dataclass
from math import ceil, floor

TEXTS = ("text", "varchar", "bpchar", "name", "citext")
LARGEST = {"int2": 2**15 - 1, "int4": 2**31 - 1, "int8": 2**63 - 1}
_CAST = re.compile(r"::(?:character varying|double precision|\"[^\"]+\"|[\w.]+)(?:\(\d+(?:,\d+)?\))?(?:\[\])?")
_LITERAL_OR_CAST = re.compile(rf"('(?:[^']|'')*')|{_CAST.pattern}")
_SCALE = 2  # of a numeric without one
_CONSTANT = r"'?(-?\d+(?:\.\d+)?)'?"
_TEXT = r"'((?:[^']|'')*)'"


@dataclass
class Rules:
    """What CHECKs say of one column."""

    least: float | None = None
    most: float | None = None
    choices: tuple[str, ...] = ()
    shortest: int = 0
    longest: int | None = None
    above: bool = False  # more than *least*, not as much
    below: bool = False

    def read(self, text: str, name: str) -> bool:
        """Take in *text*, a CHECK about the column *name* alone; whether it was understood whole.

        >>> rules = Rules()
        >>> rules.read("((price > (0)::numeric) AND (price <= (99.5)::numeric))", "price"), rules.least, rules.most
        (True, 0.0, 99.5)
        >>> rules.read("((kind)::text = ANY ((ARRAY['a'::character varying, 'b'::text])::text[]))", "kind")
        True
        >>> rules.choices, rules.read("(a < b)", "a")
        (('a', 'b'), False)
        """
        said = _LITERAL_OR_CAST.sub(lambda found: found[1] or "", text)
        own = re.escape(name) if re.fullmatch(r"[a-z_][a-z0-9_$]*|VALUE", name) else re.escape(f'"{name}"')
        either = [re.fullmatch(rf"\(*{own}\)* = {_TEXT}\)*", one) for one in said.strip("()").split(" OR ")]
        if len(either) > 1 and all(either):
            self.choices = tuple(one[1].replace("''", "'") for one in either if one)
            return True
        parts = [re.sub(r"(?<!\w)\(([\w.'\" -]+)\)", r"\1", one.strip()) for one in said.split(" AND ")]
        return " OR " not in said and all(self._part(one, own) for one in parts)

    def range(self, type_: str, precision: int | None, scale: int) -> tuple[float, float]:
        """The least and the largest value: of the CHECKs, else from 1 up to a thousand, as far as the type goes.

        >>> Rules(least=0.01).range("numeric", 8, 2), Rules(most=5).range("int4", None, 0)
        ((0.01, 1000), (-995, 5))
        """
        most: float = LARGEST.get(type_, 10**15)
        if precision is not None:
            most = 10 ** (precision - scale) - 10**-scale
        low = self.least if self.least is not None else (1 if self.most is None else min(1, self.most - 1000))
        high = self.most if self.most is not None else 1000 + (floor(low) if low > 1 else 0)
        if type_.startswith("float"):
            step = (high - low) / 1024
            low, high = low + step * self.above, high - step * self.below
        else:
            unit = 10 ** (scale if precision is not None or type_ != "numeric" else _SCALE)
            low = (floor(low * unit) + 1 if self.above else ceil(low * unit)) / unit
            high = (ceil(high * unit) - 1 if self.below else floor(high * unit)) / unit
        return _plain(max(low, -most)), _plain(min(high, most))

    def first(self) -> int:
        """The least whole number that is let in; 1 where none is said."""
        if self.least is None:
            return 1
        return floor(self.least) + 1 if self.above else ceil(self.least)

    def contradiction(self, type_: str, precision: int | None, scale: int) -> str:
        """The hole where no number of the type is within the bounds, else ""."""
        numeric = type_ in LARGEST or type_ == "numeric" or type_.startswith("float")
        if not numeric or self.choices or (self.least is None and self.most is None):
            return ""
        low, high = self.range(type_, precision, scale)
        said = (
            f"{'>' if self.above else '>='} {self.least:g}" if self.least is not None else "",
            f"{'<' if self.below else '<='} {self.most:g}" if self.most is not None else "",
        )
        words = " and ".join(filter(None, said))
        return f"no value of its type is {words}, as its CHECK has it (give the rows)" if low > high else ""

    def _part(self, part: str, own: str) -> bool:
        while part.startswith("(") or (part.endswith(")") and part.count(")") > part.count("(")):
            part = part[1:] if part.startswith("(") else part[:-1]
        part = part.rstrip(")") if part.count(")") > part.count("(") else part
        if re.fullmatch(rf"{own} IS NOT NULL", part):
            return True
        if found := re.fullmatch(rf"{own} (>=|>|<=|<) {_CONSTANT}", part):
            self._bound(found[1], float(found[2]))
            return True
        if found := re.fullmatch(rf"(?:char_length|length|character_length)\({own}\) (>=|>|<=|<|=) {_CONSTANT}", part):
            self._length(found[1], int(float(found[2])))
            return True
        if found := re.fullmatch(rf"{own} = ANY \(?\(?ARRAY\[(.*)\]\)?\)?", part):
            self.choices = _listed(found[1])
            return bool(self.choices)
        if found := re.fullmatch(rf"{own} (?:<>|!=) ''", part):
            self.shortest = max(self.shortest, 1)
            return True
        return False

    def _bound(self, sign: str, value: float) -> None:
        if sign.startswith(">") and (self.least is None or (value, sign == ">") > (self.least, self.above)):
            self.least, self.above = value, sign == ">"
        if sign.startswith("<") and (self.most is None or (-value, sign == "<") > (-self.most, self.below)):
            self.most, self.below = value, sign == "<"

    def _length(self, sign: str, value: int) -> None:
        if sign in (">", ">=", "="):
            self.shortest = max(self.shortest, value + (sign == ">"))
        if sign in ("<", "<=", "="):
            self.longest = min(value - (sign == "<"), self.longest if self.longest is not None else value)


def _listed(text: str) -> tuple[str, ...]:
    """The constants of an ARRAY[...], () where one of them is none.

    >>> _listed("'a', 'it''s'"), _listed("'-1', 0, (1)"), _listed("1, now()")
    (('a', "it's"), ('-1', '0', '1'), ())
    """
    element = rf"\(?(?:{_TEXT}|(-?\d+(?:\.\d+)?))\)?"
    if not re.fullmatch(rf"{element}(?:, {element})*", text):
        return ()
    return tuple(number or quoted.replace("''", "'") for quoted, number in re.findall(element, text))


def _plain(number: float) -> float:
    return int(number) if number == int(number) else number
