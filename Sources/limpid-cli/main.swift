print("limpid")
