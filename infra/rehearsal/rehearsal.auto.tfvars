region                 = "eu-central-1"
dist                   = "./dist"
delete_data_on_destroy = true
# MiniStack is not asked for EventBridge Scheduler; the tests in infra/tests look at the schedule.
sweep = null
