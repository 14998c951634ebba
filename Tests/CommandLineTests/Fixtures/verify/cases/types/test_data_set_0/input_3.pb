B
x_BFLOAT16JÕ=@¿¿Ä