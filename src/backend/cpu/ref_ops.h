/* The functions behind cn_ref_run, one an op, private to backend/cpu. Each reads step->in and writes step->out. */
#ifndef CN_BACKEND_CPU_REF_OPS_H
#define CN_BACKEND_CPU_REF_OPS_H

#include "backend/cpu/ref.h"

cornu_status cn_ref_ew(const cn_ref_step* s);
cornu_status cn_ref_cast(const cn_ref_step* s);
cornu_status cn_ref_reshape(const cn_ref_step* s);
cornu_status cn_ref_broadcast(const cn_ref_step* s);
cornu_status cn_ref_transpose(const cn_ref_step* s);
cornu_status cn_ref_concat(const cn_ref_step* s);
cornu_status cn_ref_slice(const cn_ref_step* s);
cornu_status cn_ref_pad(const cn_ref_step* s);
cornu_status cn_ref_gather(const cn_ref_step* s);
cornu_status cn_ref_reduce(const cn_ref_step* s);
cornu_status cn_ref_arg(const cn_ref_step* s);
cornu_status cn_ref_cumulative(const cn_ref_step* s);
cornu_status cn_ref_sort(const cn_ref_step* s);
cornu_status cn_ref_scatter(const cn_ref_step* s);
cornu_status cn_ref_linalg(const cn_ref_step* s);
cornu_status cn_ref_iota(const cn_ref_step* s);
cornu_status cn_ref_matmul(const cn_ref_step* s);
cornu_status cn_ref_conv(const cn_ref_step* s);
cornu_status cn_ref_conv_transpose(const cn_ref_step* s);
cornu_status cn_ref_pool(const cn_ref_step* s);
cornu_status cn_ref_resize(const cn_ref_step* s);
cornu_status cn_ref_softmax(const cn_ref_step* s);
cornu_status cn_ref_batch_norm(const cn_ref_step* s);
cornu_status cn_ref_axes_norm(const cn_ref_step* s);
cornu_status cn_ref_group_norm(const cn_ref_step* s);
cornu_status cn_ref_fused(const cn_ref_step* s);
cornu_status cn_ref_rnn(const cn_ref_step* s);
cornu_status cn_ref_attention(const cn_ref_step* s);
cornu_status cn_ref_random(const cn_ref_step* s);

/* The inverse of erf; the modified Bessel function I0. */
double cn_ref_erfinv(double x);
double cn_ref_i0(double x);

/* One value through an activation, in double. */
double cn_ref_act(const cn_act* act, double x);

#endif
