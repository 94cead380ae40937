"""Forks of one process that has imported everything: a start takes no time on a busy machine."""

import multiprocessing

forks = multiprocessing.get_context("forkserver")
# All of them here: Python has one such process, and who says it last says it for everybody.
forks.set_forkserver_preload(["tests.stories.processes", "tests.kernel.working"])
