/* What take-turns.c tells a generator, in a file that both have mapped. */
#include <stdatomic.h>
#include <stdint.h>

enum turn_word {
    PAUSE,   /* send nothing; take what still comes */
    WARM,    /* send, and do not measure */
    MEASURE, /* send and measure */
    END
};

struct turns {
    _Atomic uint32_t word;
    _Atomic uint32_t ready; /* the generator listens */
};
