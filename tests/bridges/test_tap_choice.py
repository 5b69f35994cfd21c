import functools

import pytest

from bridge_tf import InputError, build_bridge, build_network, choose_bridge
from bridge_tf.bridges.tap_choice import candidates_within
from bridge_tf.networks.flops import count_flops, count_flops_of_outputs
from bridge_tf.utils.graph import cuts, extractor


@pytest.fixture(scope="module")
def base():
    return build_network("resnet8", (16, 16, 3), 5, width=0.5, norm="batch")


@functools.cache
def flops(base, *bridge, **options):
    return count_flops(build_bridge(base, *bridge, **options) if bridge else base)


def relative(base, tap, width, **options):
    return flops(base, tap, width, **options) / flops(base)


@pytest.mark.integration
@pytest.mark.parametrize("budget", [0.02, 0.05, 0.15, 0.3, 0.6])
def test_the_choice_keeps_to_the_budget(base, budget):
    choice = choose_bridge(base, budget)
    assert choice.relative_flops == pytest.approx(relative(base, choice.tap, choice.width))
    assert choice.relative_flops <= budget
    assert f"the budget of {budget:g}" in choice.why and f"'{choice.tap}'" in choice.why


@pytest.mark.slow
@pytest.mark.parametrize("budget", [0.15, 0.3])
def test_it_is_the_widest_that_uses_half_the_budget_from_the_earliest_cut(base, budget):
    choice = choose_bridge(base, budget)
    names = cuts(base)
    allowed = [
        (tap, width)
        for width in (1.0, 0.75, 0.5, 0.375, 0.25, 0.125)
        for tap in names
        if budget / 2 <= relative(base, tap, width) <= budget
    ]
    widest = max(width for _, width in allowed)
    earliest = next(tap for tap, width in allowed if width == widest)
    assert choice.width == widest
    # Of cuts that cost the same the last, as behind a normalization and its activation.
    assert relative(base, choice.tap, widest) == pytest.approx(
        relative(base, earliest, widest), abs=0.01
    )


def test_flops_of_several_outputs(base):
    names = cuts(base)
    costs = count_flops_of_outputs(extractor(base, names, logits=True))
    assert costs == sorted(costs) and costs[-1] == count_flops(base)
    assert costs[3] == count_flops(extractor(base, names[3:4], logits=False))


@pytest.mark.integration
def test_options_are_counted(base):
    plain, conditioned = choose_bridge(base, 0.2), choose_bridge(base, 0.2, conditioned=True)
    assert conditioned.relative_flops == pytest.approx(
        relative(base, conditioned.tap, conditioned.width, conditioned=True)
    )
    assert plain.relative_flops != conditioned.relative_flops
    assert choose_bridge(base, 0.2, widths=(0.25,)).width == 0.25


@pytest.mark.integration
def test_candidates_of_one_body_are_given_once(base):
    found = candidates_within(base, 0.05)
    assert len({(choice.tap, choice.relative_flops) for choice in found}) == len(found)


def test_a_budget_below_the_cheapest_bridge_is_refused(base):
    with pytest.raises(InputError, match=r"`budget=1e-05`: the cheapest .*'pool'.*costs"):
        choose_bridge(base, 1e-5)
