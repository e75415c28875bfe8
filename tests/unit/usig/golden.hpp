// A certificate that swtpm 0.7.1 made: at value 4 of a counter that began at 1, over
// sha256("golden"), with the value before it proven void.
#pragma once

namespace bft::usig::test {

inline constexpr const char* golden_identity =
    "tpm2-"
    "a4s:0023000b00050472000000100018000b00030010002010c7d3184130a4f322e2376a66b6bdaa"
    "7b2cd93b4ee89c93f980f7f449b4699f00209642506899831c757d1d59298ee508b0dbb81fa98f40"
    "9d7926c2ed7b4db5789a:01800b50000b220400140020c78829163b55c27aba440f5ef731ba3f4e6"
    "604c71e7a981a1cdeaa40f65d47fd0008:1";
inline constexpr const char* golden_certificate =
    "00000000000000040002010000000000000058a3cd9f6bd598a2dc0192e79556cf4cc42c00000000"
    "0000006aa3cd9f6bd598a2dc0192e79556cf4cc42c000000000000006aa1213b6672fbf991017f2c"
    "7e9c3f52d225477e2605693844321259d146397820e29c61f41e4e599157ebb333a683052cc2902b"
    "225dda793be2ccd26f2deb612db99efdecdd64b1e019dbb8bfcd8cfc8f34";

}  // namespace bft::usig::test
