"""The only home of jinja2: text with holes, and no hole left open.

A schema file named `*.sql.j2` is rendered when the scenario is read; what the server gets is the
text afterwards, and that text is what the trial ids hash.
"""

import traceback
from collections.abc import Mapping

from jinja2 import StrictUndefined, Template, TemplateError, TemplateSyntaxError, UndefinedError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from lab.errors import ScenarioError

_SQL = ImmutableSandboxedEnvironment(undefined=StrictUndefined, keep_trailing_newline=True, autoescape=False)


def render_sql(text: str, file: str, variables: Mapping[str, object]) -> str:
    """Fill in *text*, the contents of *file*, with *variables*; every hole must have a value.

    Raise ScenarioError with file, line and the names there are.

    >>> render_sql("CREATE TABLE t_{{ interval }} ();", "t.sql.j2", {"interval": "day"})
    'CREATE TABLE t_day ();'
    >>> render_sql("-- by\\nCREATE TABLE t_{{ intervall }} ();", "t.sql.j2", {"interval": "day"})
    Traceback (most recent call last):
      ...
    lab.errors.ScenarioError: t.sql.j2:2: 'intervall' is undefined (known: interval)
    """
    try:
        code = _SQL.compile(text, name=file, filename=file)
        return Template.from_code(_SQL, code, dict(_SQL.globals)).render(variables)
    except TemplateSyntaxError as error:
        raise ScenarioError(f"{file}:{error.lineno}: {error.message}") from None
    except UndefinedError as error:
        known = ", ".join(sorted(variables)) or "none"
        raise ScenarioError(f"{file}:{_line(error, file)}: {error.message} (known: {known})") from None
    except (TemplateError, TypeError, ValueError, ArithmeticError, LookupError) as error:
        raise ScenarioError(f"{file}:{_line(error, file)}: the template stops: {error}") from None


def _line(error: BaseException, file: str) -> int:
    """The line of *file* where *error* arose; jinja2 puts it into the traceback."""
    frames = traceback.extract_tb(error.__traceback__)
    return next((frame.lineno or 1 for frame in reversed(frames) if frame.filename == file), 1)
