# What the files say, where a plan does not show it: the root against the module, and all resources of the module.

run "the_root_has_the_variables_and_outputs_of_the_module" {
  command = plan

  module {
    source = "./tests/texts"
  }

  assert {
    condition     = output.root_variables == output.module_variables
    error_message = "A variable of the module is missing in infra/variables.tf, or has another description, type or default."
  }
  assert {
    condition     = output.handed_over == { for name in keys(output.module_variables) : name => name }
    error_message = "infra/main.tf does not hand over every variable to the module."
  }
  assert {
    condition     = output.root_outputs == output.module_outputs
    error_message = "An output of the module is missing in infra/outputs.tf, or has another description."
  }
}

run "every_resource_that_can_have_tags_has_them" {
  command = plan

  module {
    source = "./tests/texts"
  }

  assert {
    condition     = length(output.resources) > 50 && output.untagged == []
    error_message = "Resources without var.tags: ${join(", ", output.untagged)}"
  }
}

run "every_name_contains_the_name_of_the_stack" {
  command = plan

  module {
    source = "./tests/texts"
  }

  assert {
    condition     = output.named_without_the_stack == []
    error_message = "Two stacks in one account would have the same names: ${join("; ", output.named_without_the_stack)}"
  }
}

run "every_role_has_the_permissions_boundary" {
  command = plan

  module {
    source = "./tests/texts"
  }

  assert {
    condition     = length([for address in output.resources : address if startswith(address, "aws_iam_role.")]) >= 6 && output.unbounded_roles == []
    error_message = "Roles without var.permissions_boundary: ${join(", ", output.unbounded_roles)}"
  }
}

run "everything_that_is_stored_can_have_its_own_key" {
  command = plan

  module {
    source = "./tests/texts"
  }

  assert {
    condition     = contains(output.resources, "aws_sqs_queue.dead") && output.unencrypted == []
    error_message = "Resources without var.kms_key_arn: ${join(", ", output.unencrypted)}"
  }
}

run "nothing_is_destroyed_before_the_guard_has_looked" {
  command = plan

  module {
    source = "./tests/texts"
  }

  assert {
    condition     = contains(output.resources, "terraform_data.guard") && length(output.unguarded) == 0
    error_message = "terraform_data.guard does not depend on ${join(", ", output.unguarded)}"
  }
}
