region                 = "eu-central-1"
dist                   = "./dist"
delete_data_on_destroy = true
# So that the rehearsal can find nothing left.
keep_edge_function = false
# MiniStack is not used for EventBridge Scheduler; the tests in infra/tests check the schedule.
sweep = null
# Before the switch to mode function, which then interrupts nothing.
session_store = true
