#include "isa.h"
#include "kernels.h"
#include "product.h"
#include "threads.h"
