/* How large things in a file may be. A file beyond a limit is refused as CORNU_BAD_FILE, naming limit and value. */
#ifndef CN_ARCHIVE_LIMITS_H
#define CN_ARCHIVE_LIMITS_H

#define CN_LIMIT_JSON_BYTES ((uint64_t)64 << 20)
#define CN_LIMIT_JSON_DEPTH 128
#define CN_LIMIT_JSON_NODES ((uint64_t)10000000)
#define CN_LIMIT_ZIP_MEMBERS ((uint64_t)100000)
#define CN_LIMIT_NAME_BYTES ((uint64_t)65535)    /* of a member, link or attribute */
#define CN_LIMIT_INFLATE_RATIO ((uint64_t)1032)  /* most that deflate can gain, so that a bomb is seen by its header */
#define CN_LIMIT_INFLATED_BYTES ((uint64_t)4 << 30) /* of all deflated members together */
#define CN_LIMIT_HDF5_DEPTH 64                   /* groups inside groups */
#define CN_LIMIT_HDF5_RANK 16                    /* CORNU_MAX_DIMS */
#define CN_LIMIT_HDF5_ATTRIBUTE_BYTES ((uint64_t)64 << 20)
#define CN_LIMIT_NPY_HEADER_BYTES ((uint64_t)1 << 20)

#endif
