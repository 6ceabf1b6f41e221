region                 = "eu-central-1"
dist                   = "./dist"
delete_data_on_destroy = true
# MiniStack is not used for EventBridge Scheduler; the tests in infra/tests check the schedule.
sweep = null
