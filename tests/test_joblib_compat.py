"""What hptune leans on in joblib; a failure here names what joblib changed."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import joblib
import pytest
from joblib import Parallel, delayed
from joblib.parallel import BatchedCalls, ParallelBackendBase

from hptune._joblib_compat import Call, collected_calls


def double(number: int) -> int:
    return 2 * number


def run(calls: Sequence[Call]) -> list[Any]:
    return [function(*args, **kwargs) for function, args, kwargs in calls]


def test_a_batch_keeps_its_calls_in_items() -> None:
    batch = BatchedCalls([delayed(double)(1)], (None, 1))
    assert batch.items == [(double, (1,), {})], f"joblib {joblib.__version__} keeps a batch's calls elsewhere"


@pytest.mark.parametrize(
    "name", ["configure", "effective_n_jobs", "apply_async", "retrieve_result", "start_call", "terminate"]
)
def test_a_backend_still_has_the_method(name: str) -> None:
    if name == "retrieve_result" and not hasattr(ParallelBackendBase, name):
        pytest.fail(f"joblib {joblib.__version__} has no {name}: it hands results back in another way")
    assert callable(getattr(ParallelBackendBase, name, None)), f"joblib {joblib.__version__} has no {name}"


def test_a_parallel_still_has_the_attribute_that_asks_for_all_calls_at_once() -> None:
    assert Parallel(pre_dispatch=3).pre_dispatch == 3
    assert "pre_dispatch" in inspect.signature(Parallel).parameters


@pytest.mark.parametrize("n_jobs", [None, 1, 2, -1])
@pytest.mark.parametrize("options", [{}, {"pre_dispatch": 1}, {"batch_size": 3}], ids=str)
def test_all_calls_come_at_once_and_in_order(n_jobs: Any, options: Any) -> None:
    seen: list[int] = []

    def counted(calls: Sequence[Call]) -> list[Any]:
        seen.append(len(calls))
        return run(calls)

    with collected_calls(counted):
        results = Parallel(n_jobs=n_jobs, **options)(delayed(double)(number) for number in range(7))
    assert results == [0, 2, 4, 6, 8, 10, 12]
    assert seen == [7]


def test_only_the_first_parallel_is_taken_over() -> None:
    seen: list[int] = []

    def counted(calls: Sequence[Call]) -> list[Any]:
        seen.append(len(calls))
        return [Parallel(n_jobs=1)(delayed(double)(1) for _ in range(5)) for _ in calls]

    with collected_calls(counted):
        inner = Parallel(n_jobs=2)(delayed(double)(number) for number in range(3))
        after = Parallel(n_jobs=1)(delayed(double)(number) for number in range(4))
    assert inner == [[2] * 5] * 3
    assert after == [0, 2, 4, 6]
    assert seen == [3]


def test_a_parallel_that_is_called_twice_has_its_calls_run_twice() -> None:
    seen: list[int] = []

    def counted(calls: Sequence[Call]) -> list[Any]:
        seen.append(len(calls))
        return run(calls)

    with collected_calls(counted), Parallel(n_jobs=2) as parallel:
        first = parallel(delayed(double)(number) for number in range(2))
        second = parallel(delayed(double)(number) for number in range(10, 13))
    assert (first, second) == ([0, 2], [20, 22, 24])
    assert seen == [2, 3]


def test_an_exception_of_the_run_leaves_the_parallel_as_it_is() -> None:
    def broken(calls: Sequence[Call]) -> list[Any]:
        raise KeyError("told so")

    with collected_calls(broken), pytest.raises(KeyError, match="told so"):
        Parallel(n_jobs=2)(delayed(double)(number) for number in range(3))
    assert Parallel(n_jobs=1)([delayed(double)(2)]) == [4]


def test_no_calls_are_no_run() -> None:
    with collected_calls(run):
        assert Parallel(n_jobs=2)([]) == []


def test_no_worker_is_no_backend() -> None:
    with collected_calls(run), pytest.raises(ValueError, match="n_jobs == 0"):
        Parallel(n_jobs=0)([delayed(double)(2)])
