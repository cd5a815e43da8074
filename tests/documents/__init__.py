"""Plays the fenced blocks of a Markdown page as its reader would, in order, so that no page lies.

    from tests.documents import play

    def test_the_page_works(tmp_path: Path) -> None:
        played = play(ROOT / "docs" / "guide.md", tmp_path, replace={"8545": str(port)})
        assert "settled" in played.output

What a block is, says its first line:

    ```sh                      run in the page's terminal: one bash for the whole page, so that
                               `cd`, variables and background jobs last; the first command that
                               fails fails the test, by file and line (also ```bash, ```shell)
    ```python                  run by the terminal's `python`, as a script of its own
    ```toml title="a.toml"     any language with a title is written to that file, below the
                               folder where the terminal stands (mkdocs shows it above the block)
    ```text, console, mermaid  shown only

A comment right before a block says what else there is to it:

    <!-- played: not, because REASON -->          shown only; the reason is for who reads the page
    <!-- played: in NAME, until "TEXT" -->        in another terminal, and not waited for: the page
                                                  goes on when TEXT stands in its output, and Ctrl-C
                                                  ends it with the page
    <!-- played: fails with 4 -->                 its last command must end with this code
    <!-- played: prints "TEXT" -->                the text must stand in what it prints
    <!-- played: until "TEXT" -->                 the block is repeated until it prints the text

Any other block is refused: each is run, written, or said to be only shown; so is one that is
indented and not fenced. What a person would have prepared (a stranger who asks, a clock that goes
on) a test does before a heading or a block: `play(..., before={"Get paid": function})`. A page of
several paths is played in parts: `play(..., only={"as a watcher"})`. Processes that a page leaves
behind, such as a devnet, are ended with it.
"""

from tests.documents.page import Block, blocks
from tests.documents.playing import Played, play

__all__ = ["Block", "Played", "blocks", "play"]
