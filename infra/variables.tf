variable "name" {
  description = "The beginning of every resource's name. Bucket names are the world's: the account's number is added to them."
  type        = string
  default     = "gatepost"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,23}[a-z0-9]$", var.name))
    error_message = "name has 3 to 25 lower-case letters, digits and hyphens, and begins with a letter."
  }
}

variable "region" {
  description = "The region of the buckets, the queues and the functions. What runs at the edge is made in us-east-1 besides."
  type        = string

  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.region))
    error_message = "region is the name of one, such as eu-central-1."
  }
}

variable "dist" {
  description = "The folder that `gatepost package` wrote, with manifest.json in it."
  type        = string
  default     = "../dist"
}

variable "delivery" {
  description = "How viewers are authorized: \"lambda\" checks their JWT at Lambda@Edge on every request."
  type        = string
  default     = "lambda"

  validation {
    condition     = var.delivery == "lambda"
    error_message = "delivery is \"lambda\". \"function\" (a session cookie at CloudFront Functions) and \"signed\" (CloudFront's own signatures) are not built yet."
  }
}

variable "origins" {
  description = "Sites besides the distribution's own and those of [cors] whose pages may call the API and post to the upload bucket, such as https://app.example.com."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for origin in var.origins : can(regex("^https://[a-z0-9.-]+(:[0-9]+)?$", origin))])
    error_message = "Each of origins is https:// and a host, without a path; a wildcard would let every site post."
  }
}

variable "domain" {
  description = "A name of your own for the distribution, with the certificate for it in us-east-1. Point it at the output distribution_domain."
  type = object({
    name            = string
    certificate_arn = string
  })
  default = null

  validation {
    condition     = var.domain == null || can(regex("^arn:[a-z-]+:acm:us-east-1:", var.domain.certificate_arn))
    error_message = "domain.certificate_arn is that of a certificate in us-east-1: CloudFront takes no other."
  }
}

variable "link_keys" {
  description = "The two halves of a key in PEM, RSA of 2048 bits or ECDSA on P-256, with which links are signed for CloudFront; null makes them the bucket's. private_secret_arn: a secret of Secrets Manager or a parameter of SSM that holds the private half, in place of private, so that neither the state nor the function's environment has it; kms_key_arn: the key of your own that it is encrypted with, if it is. next: the public half of the key that signs after this one; an apply makes it known to CloudFront before another one signs with it. former: the public halves of those that signed before, while their links last."
  type = object({
    public             = string
    private            = optional(string)
    private_secret_arn = optional(string)
    kms_key_arn        = optional(string)
    next               = optional(string)
    former             = optional(list(string), [])
  })
  default   = null
  sensitive = true

  # As the API reads them: byte order marks, quotation marks and indents do not matter, and line breaks may be \n.
  validation {
    condition     = var.link_keys == null || can(regex("-----BEGIN PUBLIC KEY-----([A-Za-z0-9+/=\\s]|\\\\+[nr])+-----END PUBLIC KEY-----", var.link_keys.public))
    error_message = "link_keys.public is a whole public key in PEM, from its BEGIN line to its END line, in UTF-8."
  }
  validation {
    condition     = var.link_keys == null || try((var.link_keys.private == null) != (var.link_keys.private_secret_arn == null), false)
    error_message = "link_keys has either private, the private half itself, or private_secret_arn, where it is."
  }
  validation {
    condition = var.link_keys == null || try(var.link_keys.private == null, false) || try(
      length(regexall("-----BEGIN ((RSA|EC) )?PRIVATE KEY-----([A-Za-z0-9+/=\\s]|\\\\+[nr])+-----END ((RSA|EC) )?PRIVATE KEY-----", var.link_keys.private)) > 0 && !strcontains(var.link_keys.private, "ENCRYPTED"),
      false,
    )
    error_message = "link_keys.private is the whole private key that belongs to link_keys.public, in PEM, from its BEGIN line to its END line, in UTF-8 and not encrypted."
  }
  validation {
    condition = var.link_keys == null || try(
      (var.link_keys.private_secret_arn == null || can(regex("^arn:[a-z-]+:(secretsmanager:[a-z0-9-]+:[0-9]+:secret:|ssm:[a-z0-9-]+:[0-9]+:parameter/)[^*?]+$", var.link_keys.private_secret_arn)))
      && (var.link_keys.kms_key_arn == null || can(regex("^arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]+:key/[^*?]+$", var.link_keys.kms_key_arn))),
      false,
    )
    error_message = "link_keys.private_secret_arn is the ARN of a secret of Secrets Manager or of a parameter of SSM, and kms_key_arn that of a key of KMS, whole and without wildcards."
  }
  validation {
    condition = var.link_keys == null || try(alltrue([
      for pem in concat(var.link_keys.next[*], var.link_keys.former) : can(regex("-----BEGIN PUBLIC KEY-----([A-Za-z0-9+/=\\s]|\\\\+[nr])+-----END PUBLIC KEY-----", pem))
    ]), false)
    error_message = "link_keys.next and each of link_keys.former are whole public keys in PEM: their private halves are not needed."
  }
  # CloudFront's quota of a key group.
  validation {
    condition     = var.link_keys == null || try(length(concat(var.link_keys.next[*], var.link_keys.former)) <= 4, false)
    error_message = "link_keys has more than five public keys: remove those of link_keys.former whose links have ended."
  }
}

variable "session_key" {
  description = "The private half of the keys of [session] that are packed with public alone: one or several in PEM (private), or where they are: a secret of Secrets Manager or a parameter of SSM (private_secret_arn), so that neither the state nor the function's environment has them; kms_key_arn: the key of your own that it is encrypted with, if it is. null where the package holds them, or there are no sessions."
  type = object({
    private            = optional(string)
    private_secret_arn = optional(string)
    kms_key_arn        = optional(string)
  })
  default   = null
  sensitive = true

  validation {
    condition     = var.session_key == null || try((var.session_key.private == null) != (var.session_key.private_secret_arn == null), false)
    error_message = "session_key has either private, the private half itself, or private_secret_arn, where it is."
  }
  validation {
    condition     = var.session_key == null || try(var.session_key.private == null || can(regex("-----BEGIN (EC )?PRIVATE KEY-----", var.session_key.private)), false)
    error_message = "session_key.private is a private key in PEM, ECDSA on P-256 and not encrypted."
  }
  validation {
    condition = var.session_key == null || try(
      (var.session_key.private_secret_arn == null || can(regex("^arn:[a-z-]+:(secretsmanager:[a-z0-9-]+:[0-9]+:secret:|ssm:[a-z0-9-]+:[0-9]+:parameter/)[^*?]+$", var.session_key.private_secret_arn)))
      && (var.session_key.kms_key_arn == null || can(regex("^arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]+:key/[^*?]+$", var.session_key.kms_key_arn))),
      false,
    )
    error_message = "session_key.private_secret_arn is the ARN of a secret of Secrets Manager or of a parameter of SSM, and kms_key_arn that of a key of KMS, whole and without wildcards."
  }
}

variable "price_class" {
  description = "Where CloudFront serves from: PriceClass_100, PriceClass_200 or PriceClass_All."
  type        = string
  default     = "PriceClass_100"

  validation {
    condition     = contains(["PriceClass_100", "PriceClass_200", "PriceClass_All"], var.price_class)
    error_message = "price_class is PriceClass_100, PriceClass_200 or PriceClass_All."
  }
}

variable "processor" {
  description = "The upload processor: memory in MB (1769 is one processor), time for a batch in seconds, and how many run at once."
  type = object({
    memory_mb       = optional(number, 1769)
    timeout_seconds = optional(number, 60)
    concurrency     = optional(number, 10)
  })
  default = {}

  validation {
    condition     = var.processor.memory_mb >= 1024 && var.processor.memory_mb <= 10240
    error_message = "processor.memory_mb is from 1024 to 10240: a photo of 12 megapixels takes 40 MB, the largest of 50 up to 830; what finds no room is rejected (too_complex)."
  }
  validation {
    condition     = var.processor.timeout_seconds >= 45 && var.processor.timeout_seconds <= 300
    error_message = "processor.timeout_seconds is from 45 to 300: an image has 30 seconds and must be rejected in time, and where the function is killed the queue waits six times as long before it tries an upload again."
  }
  validation {
    condition     = var.processor.concurrency >= 2 && var.processor.concurrency <= 1000
    error_message = "processor.concurrency is from 2 to 1000, as Lambda has it."
  }
}

variable "rejected_retention_days" {
  description = "How many days originals are kept that were rejected; null keeps them until they are deleted through the API."
  type        = number
  default     = 30

  validation {
    condition     = var.rejected_retention_days == null || try(var.rejected_retention_days >= 1, false)
    error_message = "rejected_retention_days is at least 1, or null."
  }
}

variable "upload_retention_days" {
  description = "How many days originals are kept, whatever became of them; null keeps them until they are deleted through the API. Renditions are not affected."
  type        = number
  default     = null

  # Four days in the queue, fourteen among the dead letters.
  validation {
    condition     = var.upload_retention_days == null || try(var.upload_retention_days >= 19, false)
    error_message = "upload_retention_days is at least 19, or null: for 18 days an upload may wait for being processed, among the dead letters at the end."
  }
}

variable "log_retention_days" {
  description = "How many days logs are kept."
  type        = number
  default     = 30

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.log_retention_days)
    error_message = "log_retention_days is one of those that CloudWatch Logs has: 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365 and more."
  }
}

variable "alarm_topic_arn" {
  description = "An SNS topic that alarms are sent to; null shows them in the console only. Alarms of the edge need one in us-east-1."
  type = object({
    region    = optional(string)
    us_east_1 = optional(string)
  })
  default = {}

  validation {
    condition     = var.alarm_topic_arn.region == null || can(regex("^arn:[a-z-]+:sns:", var.alarm_topic_arn.region))
    error_message = "alarm_topic_arn.region is the ARN of a topic of SNS, in the stack's region: alarms reach no other."
  }
  validation {
    condition     = var.alarm_topic_arn.us_east_1 == null || can(regex("^arn:[a-z-]+:sns:us-east-1:", var.alarm_topic_arn.us_east_1))
    error_message = "alarm_topic_arn.us_east_1 is the ARN of a topic of SNS in us-east-1: CloudFront's alarms reach no other."
  }
}

variable "rate_limit" {
  description = "How many requests an address may make in five minutes before WAF refuses it; null leaves WAF away (it has a price of its own)."
  type        = number
  default     = null

  validation {
    condition     = var.rate_limit == null || try(var.rate_limit >= 10 && var.rate_limit <= 2000000000, false)
    error_message = "rate_limit is at least 10, as WAF has it."
  }
}

variable "malware_protection" {
  description = "Let GuardDuty scan every upload before it is worked on. It has a price of its own, by the object and the gigabyte, and takes some seconds."
  type        = bool
  default     = false
}

variable "sweep" {
  description = "Look for uploads that nobody worked on, send them to the queue, and complete deletions that were interrupted: how often (rate(…) or cron(…), in UTC), and how far back, such as 3h. {} is every hour, three hours back; null never sweeps."
  type = object({
    schedule = optional(string, "rate(1 hour)")
    since    = optional(string, "3h")
  })
  default = {}

  validation {
    condition     = var.sweep == null || can(regex("^(rate\\([1-9][0-9]* (minute|hour|day)s?\\)|cron\\([^()]+\\))$", var.sweep.schedule))
    error_message = "sweep.schedule is an expression of EventBridge Scheduler that repeats, such as rate(1 hour) or cron(0 3 * * ? *)."
  }
  # The processor would refuse it at each sweep. coalesce refuses an empty one.
  validation {
    condition     = var.sweep == null || can(regex("^([1-9][0-9]*h)?([1-9][0-9]*m)?([1-9][0-9]*s)?$", coalesce(var.sweep.since, "")))
    error_message = "sweep.since is a duration in hours, minutes and seconds, such as 3h or 2h30m."
  }
  # Seconds of both, and the hour for which uploads are left to the queue. What cannot be read is refused above; how far apart the times of a cron(…) are is not known here.
  validation {
    condition = var.sweep == null || try(
      sum([for part in regexall("([0-9]+)([hms])", var.sweep.since) : part[0] * { h = 3600, m = 60, s = 1 }[part[1]]])
      > 3600 + one([for part in regexall("rate\\(([0-9]+) (minute|hour|day)", var.sweep.schedule) : part[0] * { minute = 60, hour = 3600, day = 86400 }[part[1]]]),
      true,
    )
    error_message = "sweep.since must be longer than one hour and the time between two sweeps together: uploads in between would never be looked for."
  }
}

variable "edge_runtime" {
  description = "What the function at the edge runs on: nodejs22.x, which AWS deprecates on 2027-04-30, or nodejs24.x, which the provider knows from version 6 on."
  type        = string
  default     = "nodejs22.x"

  validation {
    condition     = can(regex("^nodejs[0-9]+\\.x$", var.edge_runtime))
    error_message = "edge_runtime is nodejs22.x or nodejs24.x."
  }
}

variable "keep_edge_function" {
  description = "Leave the function at the edge when everything is destroyed. AWS deletes its replicas hours after the distribution is gone, and refuses to delete the function before."
  type        = bool
  default     = false
}

variable "delete_data_on_destroy" {
  description = "Let `terraform destroy` delete buckets that hold something. It has to be applied before."
  type        = bool
  default     = false
}

variable "tags" {
  description = "Tags of every resource that has tags."
  type        = map(string)
  default     = {}

  validation {
    condition     = length(var.tags) <= 9
    error_message = "tags are at most 9: an object in S3 has 10, and one is ours."
  }
}
