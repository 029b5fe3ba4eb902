package mongodb
