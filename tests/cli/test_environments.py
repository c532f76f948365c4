"""`ferry environment build`."""

import json


def test_it_asks_for_a_job_that_prepares(ferry, desk):
    made = ferry("environment", "create", "-n", "e", "--set", 'pip_requirements=["numpy"]', "--version", "1")
    assert made.code == 0, made.err
    told = ferry("environment", "build", "-n", "e", "-c", "c1", "--no-wait")
    assert told.code == 0, told.err
    job = json.loads(told.out)
    assert (job["display_name"], job["status"]) == ("build of e:1", "NotStarted")
    assert ferry("environment", "build", "-n", "none", "-c", "c1").code == 1
    assert ferry("environment", "build", "-n", "e").code == 2
