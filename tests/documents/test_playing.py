"""The player of pages: what it runs, writes, waits for and refuses."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest

from tests.documents import blocks, play


def page(folder: Path, text: str) -> Path:
    path = folder / "page.md"
    path.write_text(text)
    return path


def test_a_page_is_played_in_order_in_one_shell(tmp_path: Path) -> None:
    text = """
# First

```sh
mkdir there && cd there
word=hello
```

```toml title="conf/a.toml"
port = 1234
```

# Second

```sh
cat conf/a.toml
echo "$word again"
```

```python
print(6 * 7)
```

```text
rm -rf nothing
```
"""
    done = []
    played = play(
        page(tmp_path, text),
        tmp_path,
        replace={"1234": "4321"},
        before={"Second": lambda: done.append((tmp_path / "there" / "conf" / "a.toml").exists())},
    )
    assert played.output == "port = 4321\nhello again\n42\n"
    assert done == [True]
    assert [one.kind for one in played.blocks] == ["shell", "file", "shell", "python"]


def test_a_part_of_a_page_is_played_and_prepared_before_a_block(tmp_path: Path) -> None:
    text = """
# One
```sh
touch one
```
# Two
```sh
ls
```
```sh
cat prepared
```
"""
    done = []

    def prepare() -> None:
        done.append((tmp_path / "prepared").exists())
        (tmp_path / "prepared").write_text("ready\n")

    path = page(tmp_path, text)
    played = play(path, tmp_path, only={"Two"}, before={"cat prepared": prepare})
    assert played.output == "page.md\nready\n"
    assert done == [False]


def test_the_line_that_fails_is_named_and_nothing_after_it_is_run(tmp_path: Path) -> None:
    text = "# Title\n\n```sh\ntrue\nif false; then :; fi\nls nowhere | cat\ntouch after\n```\n"
    with pytest.raises(AssertionError, match=r"page\.md:6: .*ended with 2") as failed:
        play(page(tmp_path, text), tmp_path)
    assert "nowhere" in str(failed.value)
    assert not (tmp_path / "after").exists()


def test_a_failure_inside_a_function_or_a_substitution_counts(tmp_path: Path) -> None:
    text = "```sh\nbroken() { false; }\nbroken\ntouch after\n```\n"
    with pytest.raises(AssertionError, match=r"page\.md:\d"):
        play(page(tmp_path, text), tmp_path)
    assert not (tmp_path / "after").exists()


def test_ways_of_playing(tmp_path: Path) -> None:
    text = """
<!-- played: in other, until "ready" -->
```sh
echo ready; exec cat /dev/tty 2>/dev/null || sleep 600
```
<!-- played: fails with 3 -->
```sh
bash -c 'exit 3'
```
<!-- played: prints "a word" -->
```sh
echo a word
```
<!-- played: until "3" -->
```sh
echo x >>counted; wc -l <counted
```
<!-- played: not, because it would end the
     world -->
```sh
exit 9
```
"""
    played = play(page(tmp_path, text), tmp_path)
    assert "ready" in played.terminals["other"]
    assert (tmp_path / "counted").read_text() == "x\nx\nx\n"


def test_another_terminal_hears_ctrl_c_at_the_end(tmp_path: Path) -> None:
    script = "import time\\ntry:\\n print('up')\\n time.sleep(600)\\n"
    script += "except KeyboardInterrupt:\\n print('interrupted')"
    text = f"""
<!-- played: in other, until "up" -->
```sh
python -c "$(printf "{script}")"
```
"""
    played = play(page(tmp_path, text), tmp_path)
    assert played.terminals["other"] == "up\ninterrupted\n"


def test_what_a_page_leaves_running_is_ended(tmp_path: Path) -> None:
    text = "```sh\nsetsid sleep 600 &\necho $! >left\n```\n"
    play(page(tmp_path, text), tmp_path)
    assert not alive(int((tmp_path / "left").read_text()))


def alive(pid: int) -> bool:
    """Whether it runs; whoever inherited a dead process may look after it at any moment."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.mark.parametrize(
    ("text", "said", "seconds"),
    [
        ('<!-- played: prints "b" -->\n```sh\necho a\n```\n', "did not print 'b'", 120),
        ("<!-- played: fails with 3 -->\n```sh\ntrue\n```\n", "ended with 0, not 3", 120),
        ('<!-- played: in x, until "y" -->\n```sh\ntrue\n```\n', "ended without 'y'", 120),
        ("```sh\nsleep 600\n```\n", "not done after 1 s", 1),
    ],
)
def test_what_does_not_hold_is_said(tmp_path: Path, text: str, said: str, seconds: float) -> None:
    with pytest.raises(AssertionError, match=said):
        play(page(tmp_path, text), tmp_path, seconds=seconds)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("```solidity\ncontract A {}\n```\n", "page.md:2: a block of 'solidity'"),
        ("```\nplain\n```\n", "a block of 'no language'"),
        ("# A\n\n    oracle settings\n", "page.md:3: an indented block"),
        ("<!-- played: somehow -->\n```sh\ntrue\n```\n", "what is meant"),
        ('<!-- played: prints "a" -->\n```toml title="a"\nb\n```\n', "only what is run"),
    ],
)
def test_a_block_without_a_purpose_is_refused(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        blocks(page(tmp_path, text))


def test_a_replacement_or_a_heading_that_is_not_there_is_refused(tmp_path: Path) -> None:
    path = page(tmp_path, "# A\n\n```sh\ntrue\n```\n")
    with pytest.raises(AssertionError, match="has no '8545' to replace"):
        play(path, tmp_path, replace={"8545": "1"})
    with pytest.raises(AssertionError, match=r"no block below \{'B'\}"):
        play(path, tmp_path, before={"B": lambda: None})
    with pytest.raises(AssertionError, match=r"no block below \{'C'\}"):
        play(path, tmp_path, only={"A", "C"})
