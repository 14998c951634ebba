// What headers call their functions and vectors that are compiled for several widths; included before them, with LANES defined.

#undef LANES_NAME_
#undef LANES_NAME
#undef NAME
#undef VECTOR
#undef AT
#undef CONST_AT

#define LANES_NAME_(name, lanes) name##_##lanes
#define LANES_NAME(name, lanes) LANES_NAME_(name, lanes)
#define NAME(name) LANES_NAME(name, LANES)
#define VECTOR LANES_NAME(vector_f32, LANES)
#define AT(pointer) (*(VECTOR *)(pointer))
#define CONST_AT(pointer) (*(const VECTOR *)(pointer))
