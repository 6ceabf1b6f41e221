region                 = "eu-central-1"
dist                   = "./dist"
delete_data_on_destroy = true
