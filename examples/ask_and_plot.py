# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Ask, wait, verify, plot
#
# Six handwritten digits are read by an operator's model. Each answer is waited for until it can
# no longer be disputed, its signature is checked, one answer is verified from the ground up, and
# all are plotted with the model's error bar.
#
# It runs in a folder with a devnet: `oracle devnet up`, and `oracle node run` in another
# terminal. Elsewhere, an `oracle.toml` with `rpc_url`, `deployment`, `requester_keystore` and
# `password_file` is all that it needs. What plots is not installed with the oracle:
# `pip install matplotlib`. (`examples/ask_and_plot.py` is the source; the notebook is made from
# it.)

# %%
from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

try:
    import matplotlib.pyplot as plt
    from matplotlib.figure import Figure
except ImportError:
    raise SystemExit("matplotlib is missing: pip install matplotlib") from None

from oracle.bootstrap.connection import client
from oracle.bootstrap.verify import Options, verify_answer
from oracle.client import InferenceAnswer, NoAnswer, OracleClient, OracleError, format_opg
from oracle.devnet.samples import sample
from oracle.settings_file import load

MODEL = "digits-mlp"
HOW_MANY = 6
SURE = 0.8

# %% [markdown]
# ## The input
#
# A model's schema (`oracle model show digits-mlp`) says what it takes: here rows of 64 grey values.
# These were not in its training, and the last one is smudged: the mean of two digits.


# %%
def images() -> NDArray[np.float32]:
    """Held-out digits, and a smudged one: float32 [HOW_MANY, 64]."""
    held_out, _ = sample(MODEL).held_out_samples()
    chosen = held_out[:HOW_MANY].astype(np.float32)
    chosen[-1] = (chosen[0] + chosen[1]) / 2
    return chosen


# %% [markdown]
# ## Asking
#
# A request pays the cheapest standing offer that takes it, from the account at the oracle or from
# the key's tokens. `wait` returns when the answer is final; `until="answered"` returns as soon as
# there is one, which can still be disputed. A request that ends without an answer raises
# `NoAnswer`: where its operator was bound and silent, `reclaim` gets the fee back, and a share of
# what the operator loses.


# %%
async def ask(oracle: OracleClient, image: NDArray[np.float32]) -> InferenceAnswer:
    """One image, to a final answer whose signature holds."""
    request = await oracle.request(MODEL, {"pixels": image[np.newaxis]})
    try:
        answer = await oracle.wait(request.id, timeout=120)
    except NoAnswer:
        print(f"0x{request.id.hex()} came to nothing: `oracle reclaim` it after its deadline")
        raise
    receipt = await oracle.receipt(request.id)  # read back from the chain
    await oracle.verify_signature(receipt)
    print(f"0x{request.id.hex()} costs {format_opg(request.request.fee)} OPG: {answer}")
    return answer


async def ask_all(asked: NDArray[np.float32]) -> list[InferenceAnswer]:
    """All images at once; then one of the answers is verified as a stranger would."""
    settings = load()
    async with client(settings, "requester") as oracle:
        answers = await asyncio.gather(*(ask(oracle, image) for image in asked))
    # The operator's trace is fetched and judged element by element, and the model is run again.
    report = await verify_answer(settings, answers[0].request_id, Options())
    print(report.text())
    if report.verdict.exit_code != 0:
        raise OracleError(report.verdict.text)
    return list(answers)


# %% [markdown]
# ## Plotting
#
# `decisions()` says for every row of scores whether its label is clear: the lead over the next must
# be more than twice the error bar, which is how far a cheat that no judge would notice could have
# moved each score. That is about the answer, not about the model: whether the model is sure is in
# its probabilities, and how sure it must be is for you to say.


# %%
def plot(asked: NDArray[np.float32], answers: Sequence[InferenceAnswer]) -> Figure:
    """Images above, probabilities below."""
    figure, axes = plt.subplots(2, len(answers), figsize=(2 * len(answers), 4), squeeze=False)
    for column, (image, answer) in enumerate(zip(asked, answers, strict=True)):
        (decision,) = answer.decisions()["probabilities"]
        above, below = axes[0, column], axes[1, column]
        above.imshow(image.reshape(8, 8), cmap="gray_r")
        sure = float(answer.outputs["probabilities"].max()) >= SURE
        label = f"{decision.label}" if decision.clear else "ambiguous"
        above.set_title(label if sure else f"{label}?")
        above.axis("off")
        bar = float(answer.error_bar or 0)
        below.bar(range(10), answer.outputs["probabilities"][0], yerr=bar)
        below.set_ylim(0, 1)
        below.set_xticks(range(10))
    axes[1, 0].set_ylabel("probability")
    figure.suptitle(f"{MODEL}, error bar {bar:.1e}")
    figure.tight_layout()
    return figure


# %%
asked = images()

# %% tags=["active-py"]
answers = asyncio.run(ask_all(asked))

# %% tags=["active-ipynb"]
# answers = await ask_all(asked)

# %%
figure = plot(asked, answers)
figure.savefig(Path("answers.png"))
