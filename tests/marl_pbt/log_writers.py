"""What the processes in test_logs.py run; importable by a spawned process."""

import logging

from marl_pbt.logs import arm_worker_log


def write_numbered_lines(queue, name, count):
    arm_worker_log(queue, name)
    logger = logging.getLogger("marl_pbt.some.module")
    for number in range(count):
        logger.info("line %d", number)


def write_until_killed(queue, name, started):
    arm_worker_log(queue, name)
    started.send(name)
    while True:
        logging.getLogger("marl_pbt.victim").info("x" * 5000)


def write_every_kind(queue, name):
    arm_worker_log(queue, name)
    logger = logging.getLogger("agents.ppo")
    logger.debug("unseen")
    logger.warning("careful", extra={"member": "member_03"})
    try:
        raise ValueError("too much")
    except ValueError:
        logger.exception("it broke")
