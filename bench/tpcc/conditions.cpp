// Clause 3.3.2.1 to 3.3.2.12 as queries for what violates them.
#include "checker.hpp"

namespace bft::tpcc {

const std::array<Condition, 12> conditions = {{
    {1, "W_YTD is the sum of D_YTD",
     "SELECT w_id, w_ytd, sum_d FROM warehouse LEFT JOIN"
     " (SELECT d_w_id, SUM(d_ytd) AS sum_d FROM district GROUP BY d_w_id) d ON d_w_id = w_id"
     " WHERE NOT w_ytd <=> sum_d"},
    {2, "D_NEXT_O_ID - 1 is the largest O_ID and NO_O_ID",
     "SELECT d_w_id, d_id, d_next_o_id, max_o, max_no FROM district"
     " LEFT JOIN (SELECT o_w_id, o_d_id, MAX(o_id) AS max_o FROM orders GROUP BY o_w_id, o_d_id) o"
     " ON o_w_id = d_w_id AND o_d_id = d_id"
     " LEFT JOIN (SELECT no_w_id, no_d_id, MAX(no_o_id) AS max_no FROM new_order"
     " GROUP BY no_w_id, no_d_id) n ON no_w_id = d_w_id AND no_d_id = d_id"
     " WHERE NOT d_next_o_id - 1 <=> max_o OR max_no <> d_next_o_id - 1"},
    {3, "a district's NO_O_ID are contiguous",
     "SELECT no_w_id, no_d_id, MIN(no_o_id), MAX(no_o_id), COUNT(*) FROM new_order"
     " GROUP BY no_w_id, no_d_id HAVING MAX(no_o_id) - MIN(no_o_id) + 1 <> COUNT(*)"},
    {4, "the sum of O_OL_CNT is the number of order lines",
     "SELECT d_w_id, d_id, sum_cnt, line_count FROM district"
     " LEFT JOIN (SELECT o_w_id, o_d_id, SUM(o_ol_cnt) AS sum_cnt FROM orders"
     " GROUP BY o_w_id, o_d_id) o ON o_w_id = d_w_id AND o_d_id = d_id"
     " LEFT JOIN (SELECT ol_w_id, ol_d_id, COUNT(*) AS line_count FROM order_line"
     " GROUP BY ol_w_id, ol_d_id) l ON ol_w_id = d_w_id AND ol_d_id = d_id"
     " WHERE NOT sum_cnt <=> line_count"},
    {5, "O_CARRIER_ID is null exactly for new orders",
     "SELECT o_w_id, o_d_id, o_id, o_carrier_id, no_o_id FROM orders"
     " LEFT JOIN new_order ON no_w_id = o_w_id AND no_d_id = o_d_id AND no_o_id = o_id"
     " WHERE (o_carrier_id IS NULL) <> (no_o_id IS NOT NULL)"
     " UNION ALL SELECT no_w_id, no_d_id, no_o_id, NULL, NULL FROM new_order"
     " LEFT JOIN orders ON no_w_id = o_w_id AND no_d_id = o_d_id AND no_o_id = o_id"
     " WHERE o_id IS NULL"},
    {6, "O_OL_CNT is the number of the order's lines",
     "SELECT o_w_id, o_d_id, o_id, MAX(o_ol_cnt), COUNT(ol_o_id) FROM orders"
     " LEFT JOIN order_line ON ol_w_id = o_w_id AND ol_d_id = o_d_id AND ol_o_id = o_id"
     " GROUP BY o_w_id, o_d_id, o_id HAVING MAX(o_ol_cnt) <> COUNT(ol_o_id)"},
    {7, "OL_DELIVERY_D is null exactly without O_CARRIER_ID",
     "SELECT ol_w_id, ol_d_id, ol_o_id, ol_number FROM orders"
     " STRAIGHT_JOIN order_line ON ol_w_id = o_w_id AND ol_d_id = o_d_id AND ol_o_id = o_id"
     " WHERE (ol_delivery_d IS NULL) <> (o_carrier_id IS NULL)"},
    {8, "W_YTD is the sum of the warehouse's H_AMOUNT",
     "SELECT w_id, w_ytd, sum_h FROM warehouse LEFT JOIN"
     " (SELECT h_w_id, SUM(h_amount) AS sum_h FROM history GROUP BY h_w_id) h ON h_w_id = w_id"
     " WHERE NOT w_ytd <=> sum_h"},
    {9, "D_YTD is the sum of the district's H_AMOUNT",
     "SELECT d_w_id, d_id, d_ytd, sum_h FROM district LEFT JOIN"
     " (SELECT h_w_id, h_d_id, SUM(h_amount) AS sum_h FROM history GROUP BY h_w_id, h_d_id) h"
     " ON h_w_id = d_w_id AND h_d_id = d_id WHERE NOT d_ytd <=> sum_h"},
    {10, "C_BALANCE is delivered OL_AMOUNT less H_AMOUNT",
     "SELECT c_w_id, c_d_id, c_id, c_balance, delivered, paid FROM customer"
     " LEFT JOIN (SELECT o_w_id, o_d_id, o_c_id, SUM(ol_amount) AS delivered FROM orders"
     " STRAIGHT_JOIN order_line ON ol_w_id = o_w_id AND ol_d_id = o_d_id AND ol_o_id = o_id"
     " WHERE ol_delivery_d IS NOT NULL GROUP BY o_w_id, o_d_id, o_c_id) o"
     " ON o_w_id = c_w_id AND o_d_id = c_d_id AND o_c_id = c_id"
     " LEFT JOIN (SELECT h_c_w_id, h_c_d_id, h_c_id, SUM(h_amount) AS paid FROM history"
     " GROUP BY h_c_w_id, h_c_d_id, h_c_id) h"
     " ON h_c_w_id = c_w_id AND h_c_d_id = c_d_id AND h_c_id = c_id"
     " WHERE c_balance <> IFNULL(delivered, 0) - IFNULL(paid, 0)"},
    // The clause's 2100 delivered orders of a full-size district are seven for each ten customers;
    // each delivery since then has counted one up in C_DELIVERY_CNT.
    {11, "orders less new orders are the delivered ones",
     "SELECT d_w_id, d_id, all_o, all_no, due FROM district"
     " LEFT JOIN (SELECT o_w_id, o_d_id, COUNT(*) AS all_o FROM orders GROUP BY o_w_id, o_d_id) o"
     " ON o_w_id = d_w_id AND o_d_id = d_id"
     " LEFT JOIN (SELECT no_w_id, no_d_id, COUNT(*) AS all_no FROM new_order"
     " GROUP BY no_w_id, no_d_id) n ON no_w_id = d_w_id AND no_d_id = d_id"
     " LEFT JOIN (SELECT c_w_id, c_d_id, COUNT(*) DIV 10 * 7 + SUM(c_delivery_cnt) AS due"
     " FROM customer GROUP BY c_w_id, c_d_id) c ON c_w_id = d_w_id AND c_d_id = d_id"
     " WHERE NOT IFNULL(all_o, 0) - IFNULL(all_no, 0) <=> due"},
    {12, "C_BALANCE + C_YTD_PAYMENT is delivered OL_AMOUNT",
     "SELECT c_w_id, c_d_id, c_id, c_balance, c_ytd_payment, delivered FROM customer"
     " LEFT JOIN (SELECT o_w_id, o_d_id, o_c_id, SUM(ol_amount) AS delivered FROM orders"
     " STRAIGHT_JOIN order_line ON ol_w_id = o_w_id AND ol_d_id = o_d_id AND ol_o_id = o_id"
     " WHERE ol_delivery_d IS NOT NULL GROUP BY o_w_id, o_d_id, o_c_id) o"
     " ON o_w_id = c_w_id AND o_d_id = c_d_id AND o_c_id = c_id"
     " WHERE c_balance + c_ytd_payment <> IFNULL(delivered, 0)"},
}};

}  // namespace bft::tpcc
