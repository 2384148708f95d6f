"""The program in a text, and the reply that its output makes."""

from __future__ import annotations

import pytest

from tts_runtime.engines.sandbox.box import ProgramResult
from tts_runtime.engines.sandbox.programs import (
    continued,
    definition,
    program_in,
    reply_of,
    with_functions,
)

F = "\ndef f():\n    1\n"
FENCED = 'def f():\n    """So:\n    ```\n    f()\n    ```\n    """\n    return 1'


@pytest.mark.parametrize(
    ("text", "program"),
    [
        ("print(1)", "print(1)"),
        ("So:\n```python\nprint(1)\n```\nIt prints\n```\n1\n```\n", "print(1)"),
        ("```python\nfirst\n```\nBetter:\n```py\nsecond\n```", "second"),
        ("```\nfirst\n```\n```\nsecond\n```", "second"),
        ("```json\n{}\n```\n```Python\nprint(1)\n```", "print(1)"),
        ('```python title="a.py"\nprint(1)\n```', "print(1)"),
        ("* a list:\n  ```python\n  if x:\n      y\n  ```", "if x:\n    y"),
        ("````python\ns = '```'\n```\n````", "s = '```'\n```"),
        ("~~~python\nprint(1)\n~~~", "print(1)"),
        ("```python\ncut in the mid", "cut in the mid"),
        ("```python\r\nprint(1)\r\n```\r\n", "print(1)\r"),
        ("```python\n```", ""),
        ("```\nfirst\n```\n```bash\npython a.py\n```", "first"),
        # A block that thoughts do not close; a fence that the prompt opened.
        ("```python\nfirst\nNo.\n```python\nsecond\n```", "second"),
        ("```python\ns = 1\n    ```python\n    x\n```", "s = 1\n    ```python\n    x"),
        ("def f(): 1\n```", "def f(): 1"),
        ("    return 1\n```\nIt returns 1.", "    return 1"),
        (" So:\n```\nprint(1)", "print(1)"),
        ("", ""),
    ],
)
def test_the_last_python_block_is_the_program(text: str, program: str) -> None:
    assert program_in(text) == program


@pytest.mark.parametrize(
    ("text", "program"),
    [
        ("```py\ndef f():\n    1\n```\n```py\nf()\n```", "def f():\n    1"),
        ("```\ndef f(): 1\n```\n```\nf()\n```", "def f(): 1"),
        ("```py\ndef f(): 1\n```\n```py\ndef f(): 2\n```\n```py\nf()\n```", "def f(): 2"),
        ("```py\ndef ff(): 1\n```\n```py\ng()\n```", "g()"),
        ("def f(): 1", "def f(): 1"),
        ("```py\nasync def f():\n    1\n```\n```py\nf()\n```", "async def f():\n    1"),
        ("```py\nclass f: 1\n```\n```py\nf()\n```", "class f: 1"),
        ("```py\nf = g\n```\n```py\nf == 1\n```", "f = g"),
        ("```py\nf = lambda n: f(n)\n```\n```py\nf = f(1)\n```", "f = lambda n: f(n)"),
        ("def f(): 1\n```\nSo:\n```py\nf()\n```", "def f(): 1"),
        # Fences in a docstring; no fences at all.
        (f"```py\n{FENCED}\n```\nDone.", FENCED),
        ("```py\ndef f():\n    return 1\n    ```\nDone.", "def f():\n    return 1"),
        ("Here is it:\nX = 1\nimport re\n" + F + "\nIt returns one.", "X = 1\nimport re\n" + F),
        ("Sure! Here you go:\n\nCode:\n" + F + "\nExplanation:\n- f is one", F),
        ("X = 1\n" + F + "\nprint(f())\nx = f()", "X = 1\n" + F + "\nprint(f())\nx = f()"),
        ("# Of one\n" + F + "\n# That is all of it", "# Of one\n" + F + "\n# That is all of it"),
        (F + 'S = """\nIt returns one.\n"""', F + 'S = """\nIt returns one.\n"""'),
        pytest.param(*[F + "\na " + "b" * 200_000 + "="] * 2, id="a long line"),
        ('"""\nIt returns one.\n"""\n' + F, '"""\nIt returns one.\n"""\n' + F),
        ("It calls g:\ndef g(): 1\n\nNow to f:" + F + "So it does.", "def g(): 1\n" + F[:-1]),
    ],
)
def test_the_last_block_that_defines_the_function_is_the_program(text: str, program: str) -> None:
    assert program_in(text, "f") == program


@pytest.mark.parametrize(
    ("program", "added"),
    [
        ("class Solution:\n    def f(self):\n        return 1", "\n\nf = Solution().f\n"),
        ("import re\nclass A:\n    x = 1\n\n    @staticmethod\n    def f(): 1", "\n\nf = A().f\n"),
        ("class A:\n    def f(self): 1\n\nf = A().f", ""),
        ("class A:\n    def f(self): 1\n\ndef f(): 2", ""),
        ("def g():\n    def f(): 1", ""),
        ("class A:\n    def g(self): 1", ""),
    ],
)
def test_a_method_that_tests_call_as_a_function_is_one(program: str, added: str) -> None:
    assert with_functions(program, "f") == program + added


@pytest.mark.parametrize(
    ("rest", "body"),
    [
        ("    a\n    b\n", "    a\n    b\n"),
        ("a\nb", "    a\n    b\n"),
        ("a\n    b\n", "    a\n    b\n"),
        ("if a:\n    b\nc", "    if a:\n        b\n    c\n"),
        ("if a:  # d\n    b\nc", "    if a:  # d\n        b\n    c\n"),
        ("if a:\n        b\n    c", "    if a:\n        b\n    c\n"),
        ("if a:\n    b", "    if a:\n        b\n"),
        ("x = [\n    1]\ny", "    x = [\n        1]\n    y\n"),
        ("     a\n     b\nprint(1)", "    a\n    b\nprint(1)\n"),
        ("\ta\n\tif b:\n\t\tc", "    a\n    if b:\n    \tc\n"),
        ("", "\n"),
    ],
)
def test_the_rest_of_a_function_is_indented_as_its_prompt(rest: str, body: str) -> None:
    assert continued("def f():\n", rest) == f"def f():\n{body}"
    assert continued('def f():\n    """f"""\n', rest) == f'def f():\n    """f"""\n{body}'


@pytest.mark.parametrize("text", ["\n" * 200_000, "from import " * 20_000, "```\n" * 50_000])
def test_no_text_takes_long(text: str) -> None:
    assert isinstance(program_in(text, "f"), str)
    assert definition(text, "f") is None


@pytest.mark.parametrize(
    ("outcome", "reply"),
    [
        (ProgramResult(b"4\n", b"a warning", 0), "4\n"),
        (ProgramResult(b"", b"", 0), "\n"),
        (
            ProgramResult(b"4", b"Traceback...\nNameError: x\n", 1),
            "4\nTraceback...\nNameError: x\n",
        ),
        (ProgramResult(b"", b"", 3), "It ended with code 3.\n"),
        (ProgramResult(b"4\n", b"", None, "time"), "4\nStopped: it ran too long.\n"),
        (ProgramResult(b"\x1b[2J\x00a\r\nb\tc\xff\xc2\x9b", b"", 0), "�[2J�a\nb\tc��\n"),
    ],
)
def test_a_reply_is_what_is_printed_and_what_went_wrong(outcome: ProgramResult, reply: str) -> None:
    assert reply_of(outcome) == reply


def test_only_the_end_of_long_errors_is_shown() -> None:
    reply = reply_of(ProgramResult(b"", b"x" * 50_000 + b"\nValueError\n", 1))
    assert len(reply) < 2100
    assert reply.endswith("x\nValueError\n")
