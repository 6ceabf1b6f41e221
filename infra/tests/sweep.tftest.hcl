# The schedule of sweeps, which find uploads that were not processed.

mock_provider "aws" {
  source = "./tests/mocks"
}

mock_provider "aws" {
  alias  = "us_east_1"
  source = "./tests/mocks_us_east_1"
}

variables {
  dist = "./tests/dist"
  # The guard's provisioner runs when a test's state is destroyed, although nothing exists.
  delete_data_on_destroy = true
}

run "sweeps_can_be_left_out" {
  command = plan

  module {
    source = "./modules/gatepost"
  }

  variables {
    sweep = null
  }

  assert {
    condition = length(concat(
      aws_scheduler_schedule.sweep, aws_scheduler_schedule_group.sweep, aws_iam_role.sweep, aws_iam_role_policy.sweep,
      aws_cloudwatch_metric_alarm.sweep_dropped,
    )) == 0
    error_message = "Sweeps are scheduled although they are switched off."
  }
}

run "by_default_a_sweep_invokes_the_processor_and_nothing_else" {
  command = apply

  module {
    source = "./modules/gatepost"
  }

  assert {
    condition = [for schedule in aws_scheduler_schedule.sweep : {
      expression = schedule.schedule_expression
      window     = one(schedule.flexible_time_window).mode
      group      = schedule.group_name
      function   = one(schedule.target).arn
      role       = one(schedule.target).role_arn
      payload    = one(schedule.target).input
      }] == [{
      expression = "rate(1 hour)"
      window     = "OFF"
      group      = aws_scheduler_schedule_group.sweep[0].name
      function   = "arn:aws:lambda:eu-central-1:123456789012:function:processor"
      role       = "arn:aws:iam::123456789012:role/sweep"
      payload    = "{\"sweep\":{\"since\":\"3h\"}}"
    }]
    error_message = "The schedule has another payload, function or role."
  }
  # A sweep that cannot be started is not retried once the next one is due.
  assert {
    condition = alltrue([for schedule in aws_scheduler_schedule.sweep : (
      one(one(schedule.target).retry_policy).maximum_event_age_in_seconds <= 3600 && one(one(schedule.target).retry_policy).maximum_retry_attempts <= 10
    )])
    error_message = "Sweeps accumulate: Scheduler retries for a day, up to 185 times."
  }
  assert {
    condition = [
      for statement in data.aws_iam_policy_document.sweep[0].statement : [tolist(statement.actions), tolist(statement.resources)]
    ] == [[tolist(["lambda:InvokeFunction"]), tolist(["arn:aws:lambda:eu-central-1:123456789012:function:processor"])]]
    error_message = "The schedule's role may do more than invoke the processor."
  }
  assert {
    condition = [
      for statement in data.aws_iam_policy_document.sweep_trust[0].statement : {
        actions    = tolist(statement.actions)
        principals = [for principal in statement.principals : "${principal.type} ${join(",", principal.identifiers)}"]
        conditions = sort([for condition in statement.condition : "${condition.test} ${condition.variable} ${join(",", condition.values)}"])
      }
      ] == [{
        actions    = tolist(["sts:AssumeRole"])
        principals = ["Service scheduler.amazonaws.com"]
        conditions = tolist([
          "ArnEquals aws:SourceArn arn:aws:scheduler:eu-central-1:123456789012:schedule-group/mocked",
          "StringEquals aws:SourceAccount 123456789012",
        ])
    }]
    error_message = "Other schedules may assume the role: the confused deputy."
  }
  assert {
    condition = [
      jsondecode(aws_iam_role.sweep[0].assume_role_policy).Id, jsondecode(aws_iam_role_policy.sweep[0].policy).Id, aws_iam_role_policy.sweep[0].role,
    ] == ["sweep_trust", "sweep", "sweep"]
    error_message = "The role has another role's policy."
  }
  assert {
    condition = [for alarm in aws_cloudwatch_metric_alarm.sweep_dropped : [alarm.namespace, alarm.metric_name, alarm.dimensions["ScheduleGroup"]]] == [
      ["AWS/Scheduler", "InvocationDroppedCount", aws_scheduler_schedule_group.sweep[0].name]
    ]
    error_message = "No alarm reports a sweep that could not be started."
  }
}

run "a_sweep_at_night_looks_back_further" {
  command = plan

  module {
    source = "./modules/gatepost"
  }

  variables {
    sweep = { schedule = "cron(0 3 * * ? *)", since = "36h30m" }
  }

  assert {
    condition = [for schedule in aws_scheduler_schedule.sweep : [schedule.schedule_expression, one(schedule.target).input]] == [
      ["cron(0 3 * * ? *)", "{\"sweep\":{\"since\":\"36h30m\"}}"]
    ]
    error_message = "The schedule differs from the variable."
  }
}

run "a_sweep_looks_back_further_than_to_the_one_before" {
  command = plan

  module {
    source = "./modules/gatepost"
  }

  variables {
    sweep = { schedule = "rate(90 minutes)", since = "2h30m1s" }
  }

  assert {
    condition     = length(aws_scheduler_schedule.sweep) == 1
    error_message = "Hours, minutes and seconds are not added up."
  }
}

run "uploads_between_two_sweeps_are_not_left_out" {
  command = plan

  module {
    source = "./modules/gatepost"
  }

  variables {
    sweep = { schedule = "rate(90 minutes)", since = "2h30m" }
  }

  expect_failures = [var.sweep]
}

run "uploads_between_daily_sweeps_are_not_left_out" {
  command = plan

  module {
    source = "./modules/gatepost"
  }

  variables {
    sweep = { schedule = "rate(1 day)" }
  }

  expect_failures = [var.sweep]
}

run "a_schedule_repeats" {
  command = plan

  module {
    source = "./modules/gatepost"
  }

  variables {
    sweep = { schedule = "at(2026-11-30T00:00:00)" }
  }

  expect_failures = [var.sweep]
}

run "a_rate_is_a_number" {
  command = plan

  module {
    source = "./modules/gatepost"
  }

  variables {
    sweep = { schedule = "rate(0 hours)" }
  }

  expect_failures = [var.sweep]
}

run "a_sweep_duration_in_days_is_refused" {
  command = plan

  module {
    source = "./modules/gatepost"
  }

  variables {
    sweep = { since = "2d" }
  }

  expect_failures = [var.sweep]
}

run "an_empty_sweep_duration_is_refused" {
  command = plan

  module {
    source = "./modules/gatepost"
  }

  variables {
    sweep = { since = "" }
  }

  expect_failures = [var.sweep]
}
