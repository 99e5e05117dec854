/* The zip format, as far as it is read and written here (little-endian, offsets from the start of a record).
 *
 *     [local header, name, extra, payload] ... [central header, name, extra, comment] ... [ZIP64 end, ZIP64 locator] [end, comment]
 *
 *     local header, 30 bytes            central header, 46 bytes              end, 22 bytes
 *      0 "PK\3\4"                         0 "PK\1\2"                            0 "PK\5\6"
 *      4 u16 version needed               4 u8 version, u8 system made by       4 u16 this disk, 6 u16 directory's disk
 *      6 u16 flags                        6 u16 version needed                  8 u16 entries here, 10 u16 entries
 *      8 u16 method                       8 u16 flags, 10 u16 method           12 u32 directory bytes
 *     10 u16 time, 12 u16 date           12 u16 time, 14 u16 date              16 u32 directory offset
 *     14 u32 crc                         16 u32 crc                            20 u16 comment bytes
 *     18 u32 stored bytes                20 u32 stored bytes                  ZIP64 end, 56 bytes
 *     22 u32 bytes                       24 u32 bytes                           0 "PK\6\6", 4 u64 bytes after this field
 *     26 u16 name bytes                  28 u16 name, 30 u16 extra,            12 u16 made by, 14 u16 needed
 *     28 u16 extra bytes                 32 u16 comment bytes                  16 u32 this disk, 20 u32 directory's disk
 *                                        34 u16 disk, 36 u16 internal          24 u64 entries here, 32 u64 entries
 *     ZIP64 locator, 20 bytes            38 u32 external attributes            40 u64 directory bytes
 *      0 "PK\6\7", 4 u32 disk            42 u32 local header's offset          48 u64 directory offset
 *      8 u64 ZIP64 end's offset, 16 u32 disks
 *
 * ZIP64 extra field: u16 1, u16 bytes, then u64 values of those fields that are 0xFFFFFFFF, in the order bytes, stored
 * bytes, offset. */
#ifndef CN_ARCHIVE_ZIP_FORMAT_H
#define CN_ARCHIVE_ZIP_FORMAT_H

#include <stdint.h>

enum {
    CN_ZIP_LOCAL_BYTES = 30,
    CN_ZIP_CENTRAL_BYTES = 46,
    CN_ZIP_END_BYTES = 22,
    CN_ZIP_END64_BYTES = 56,
    CN_ZIP_LOCATOR_BYTES = 20,
    CN_ZIP_EXTRA64 = 1,
    CN_ZIP_STORED = 0,
    CN_ZIP_DEFLATED = 8
};

#define CN_ZIP_LOCAL_MARK 0x04034b50u
#define CN_ZIP_CENTRAL_MARK 0x02014b50u
#define CN_ZIP_END_MARK 0x06054b50u
#define CN_ZIP_END64_MARK 0x06064b50u
#define CN_ZIP_LOCATOR_MARK 0x07064b50u

#define CN_ZIP_FLAG_ENCRYPTED 0x0001u
#define CN_ZIP_FLAG_DESCRIPTOR 0x0008u /* crc and sizes follow the payload, the local header may have zeros */
#define CN_ZIP_FLAG_STRONG 0x0040u     /* strong encryption */
#define CN_ZIP_FLAG_UTF8 0x0800u       /* of the name; else ASCII */
#define CN_ZIP_FLAG_MASKED 0x2000u     /* encrypted directory */

static inline uint16_t cn_zip_get16(const uint8_t* p) { return (uint16_t)(p[0] | p[1] << 8); }
static inline uint32_t cn_zip_get32(const uint8_t* p) {
    return (uint32_t)cn_zip_get16(p) | (uint32_t)cn_zip_get16(p + 2) << 16;
}
static inline uint64_t cn_zip_get64(const uint8_t* p) {
    return (uint64_t)cn_zip_get32(p) | (uint64_t)cn_zip_get32(p + 4) << 32;
}
static inline void cn_zip_put16(uint8_t* p, uint32_t v) {
    p[0] = (uint8_t)v;
    p[1] = (uint8_t)(v >> 8);
}
static inline void cn_zip_put32(uint8_t* p, uint32_t v) {
    cn_zip_put16(p, v & 0xFFFF);
    cn_zip_put16(p + 2, v >> 16);
}
static inline void cn_zip_put64(uint8_t* p, uint64_t v) {
    cn_zip_put32(p, (uint32_t)v);
    cn_zip_put32(p + 4, (uint32_t)(v >> 32));
}

#endif
