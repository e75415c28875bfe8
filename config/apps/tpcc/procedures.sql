-- TPC-C's five transactions (clauses 2.4 to 2.8), one CALL each, over sets of rows instead of row by row.
--
-- The time is NOW(), which the ordered execution sets for each call. Nothing here commits: a call is part of a
-- transaction that its caller ends, and after a SIGNAL the caller rolls the call back. Codes:
--   31001  unused item number (what one New-Order in a hundred is made to have, clause 2.4.1.4)
--   31002  no such customer
--
-- Each statement opens its tables, which costs more than the rows: hence joins of single rows. Joins have their
-- sequence, and searches by name their index, from here: statistics are sampled, and servers would choose differently.

DELIMITER //

-- p_lines is [[item, supplying warehouse, quantity], ...] in the order of the line numbers.
CREATE PROCEDURE new_order(p_w_id INT, p_d_id INT, p_c_id INT, p_lines TEXT CHARACTER SET latin1 COLLATE latin1_bin)
MODIFIES SQL DATA
BEGIN
    DECLARE v_o_id, v_ol_cnt, v_items, v_all_local INT;
    DECLARE v_amount, v_total DECIMAL(12, 2);
    DECLARE v_w_tax, v_d_tax, v_c_discount DECIMAL(4, 4);
    DECLARE v_c_last VARCHAR(16) CHARACTER SET latin1 COLLATE latin1_bin;
    DECLARE v_c_credit CHAR(2) CHARACTER SET latin1 COLLATE latin1_bin;

    UPDATE district SET d_next_o_id = d_next_o_id + 1 WHERE d_w_id = p_w_id AND d_id = p_d_id;

    SELECT d_next_o_id - 1, w_tax, d_tax, c_discount, c_last, c_credit
    INTO v_o_id, v_w_tax, v_d_tax, v_c_discount, v_c_last, v_c_credit
    FROM warehouse, district, customer
    WHERE w_id = p_w_id AND d_w_id = p_w_id AND d_id = p_d_id AND c_w_id = p_w_id AND c_d_id = p_d_id AND c_id = p_c_id;
    IF v_o_id IS NULL THEN
        SIGNAL SQLSTATE '45000' SET MYSQL_ERRNO = 31002, MESSAGE_TEXT = 'no such customer';
    END IF;

    INSERT INTO order_line (ol_w_id, ol_d_id, ol_o_id, ol_number, ol_i_id, ol_supply_w_id, ol_delivery_d,
                            ol_quantity, ol_amount, ol_dist_info)
    SELECT p_w_id, p_d_id, v_o_id, l.number, l.i_id, l.supply, NULL, l.quantity, l.quantity * i_price,
           CASE p_d_id WHEN 1 THEN s_dist_01 WHEN 2 THEN s_dist_02 WHEN 3 THEN s_dist_03 WHEN 4 THEN s_dist_04
                       WHEN 5 THEN s_dist_05 WHEN 6 THEN s_dist_06 WHEN 7 THEN s_dist_07 WHEN 8 THEN s_dist_08
                       WHEN 9 THEN s_dist_09 ELSE s_dist_10 END
    FROM JSON_TABLE(p_lines, '$[*]' COLUMNS (number FOR ORDINALITY, i_id INT PATH '$[0]', supply INT PATH '$[1]',
                                             quantity INT PATH '$[2]')) AS l
    STRAIGHT_JOIN item ON item.i_id = l.i_id
    STRAIGHT_JOIN stock ON s_w_id = l.supply AND s_i_id = l.i_id;

    SELECT COUNT(*), COUNT(DISTINCT ol_supply_w_id, ol_i_id), SUM(ol_amount), MIN(ol_supply_w_id = p_w_id)
    INTO v_ol_cnt, v_items, v_amount, v_all_local
    FROM order_line WHERE ol_w_id = p_w_id AND ol_d_id = p_d_id AND ol_o_id = v_o_id;
    IF v_ol_cnt < JSON_LENGTH(p_lines) THEN
        SIGNAL SQLSTATE '45000' SET MYSQL_ERRNO = 31001, MESSAGE_TEXT = 'unused item number';
    END IF;

    -- The rule "subtract, and add 91 when fewer than ten remain" keeps a quantity between 10 and 100: it is
    -- arithmetic modulo 91. An item on several lines gets from their sum what it gets from one after the other,
    -- and a join updates a row only once, so lines are summed when that happens. (1992 = 22 * 91 - 10 keeps the
    -- left side of % positive.)
    IF v_items = v_ol_cnt THEN
        UPDATE order_line
        STRAIGHT_JOIN stock ON s_w_id = ol_supply_w_id AND s_i_id = ol_i_id
        SET s_quantity = 10 + (s_quantity + 1992 - ol_quantity) % 91, s_ytd = s_ytd + ol_quantity,
            s_order_cnt = s_order_cnt + 1, s_remote_cnt = s_remote_cnt + (ol_supply_w_id <> p_w_id)
        WHERE ol_w_id = p_w_id AND ol_d_id = p_d_id AND ol_o_id = v_o_id;
    ELSE
        UPDATE (SELECT ol_supply_w_id AS supply, ol_i_id AS i_id, SUM(ol_quantity) AS quantity, COUNT(*) AS line_count
                FROM order_line WHERE ol_w_id = p_w_id AND ol_d_id = p_d_id AND ol_o_id = v_o_id
                GROUP BY ol_supply_w_id, ol_i_id) AS l
        STRAIGHT_JOIN stock ON s_w_id = l.supply AND s_i_id = l.i_id
        SET s_quantity = 10 + (s_quantity + 1992 - l.quantity) % 91, s_ytd = s_ytd + l.quantity,
            s_order_cnt = s_order_cnt + l.line_count,
            s_remote_cnt = s_remote_cnt + (l.supply <> p_w_id) * l.line_count;
    END IF;

    INSERT INTO orders (o_w_id, o_d_id, o_id, o_c_id, o_entry_d, o_carrier_id, o_ol_cnt, o_all_local)
    VALUES (p_w_id, p_d_id, v_o_id, p_c_id, NOW(), NULL, v_ol_cnt, v_all_local);
    INSERT INTO new_order (no_w_id, no_d_id, no_o_id) VALUES (p_w_id, p_d_id, v_o_id);

    SET v_total = v_amount * (1 - v_c_discount) * (1 + v_w_tax + v_d_tax);
    SELECT v_o_id AS o_id, NOW() AS o_entry_d, v_ol_cnt AS o_ol_cnt, v_c_last AS c_last, v_c_credit AS c_credit,
           v_c_discount AS c_discount, v_w_tax AS w_tax, v_d_tax AS d_tax, v_total AS total;

    SELECT ol_number, i_name, s_quantity,
           IF(i_data LIKE '%ORIGINAL%' AND s_data LIKE '%ORIGINAL%', 'B', 'G') AS brand, i_price, ol_amount
    FROM order_line
    STRAIGHT_JOIN item ON i_id = ol_i_id
    STRAIGHT_JOIN stock ON s_w_id = ol_supply_w_id AND s_i_id = ol_i_id
    WHERE ol_w_id = p_w_id AND ol_d_id = p_d_id AND ol_o_id = v_o_id
    ORDER BY ol_number;
END//

-- The customer is p_c_id of (p_c_w_id, p_c_d_id), or with p_c_id = 0 the middle one, by first name, of those
-- called p_c_last.
CREATE PROCEDURE payment(p_w_id INT, p_d_id INT, p_c_w_id INT, p_c_d_id INT, p_c_id INT,
                         p_c_last VARCHAR(16) CHARACTER SET latin1 COLLATE latin1_bin, p_amount DECIMAL(6, 2))
MODIFIES SQL DATA
BEGIN
    DECLARE v_c_id INT DEFAULT p_c_id;
    DECLARE v_count, v_payment_cnt INT;
    DECLARE v_ids TEXT CHARACTER SET latin1;
    DECLARE v_data VARCHAR(24) CHARACTER SET latin1 COLLATE latin1_bin;

    IF p_c_id = 0 THEN
        SELECT COUNT(*), GROUP_CONCAT(c_id ORDER BY c_first, c_id) INTO v_count, v_ids
        FROM customer FORCE INDEX (customer_name) WHERE c_w_id = p_c_w_id AND c_d_id = p_c_d_id AND c_last = p_c_last;
        IF v_count > 0 THEN
            SET v_c_id = SUBSTRING_INDEX(SUBSTRING_INDEX(v_ids, ',', (v_count + 1) DIV 2), ',', -1);
        END IF;
    END IF;

    UPDATE warehouse SET w_ytd = w_ytd + p_amount WHERE w_id = p_w_id;
    UPDATE district SET d_ytd = d_ytd + p_amount WHERE d_w_id = p_w_id AND d_id = p_d_id;
    UPDATE customer
    SET c_balance = c_balance - p_amount, c_ytd_payment = c_ytd_payment + p_amount, c_payment_cnt = c_payment_cnt + 1,
        c_data = IF(c_credit = 'BC',
                    LEFT(CONCAT(c_id, ' ', c_d_id, ' ', c_w_id, ' ', p_d_id, ' ', p_w_id, ' ', p_amount, '|', c_data),
                         500),
                    c_data)
    WHERE c_w_id = p_c_w_id AND c_d_id = p_c_d_id AND c_id = v_c_id;

    SELECT c_payment_cnt, CONCAT(w_name, '    ', d_name) INTO v_payment_cnt, v_data
    FROM warehouse, district, customer
    WHERE w_id = p_w_id AND d_w_id = p_w_id AND d_id = p_d_id
      AND c_w_id = p_c_w_id AND c_d_id = p_c_d_id AND c_id = v_c_id;
    IF v_payment_cnt IS NULL THEN
        SIGNAL SQLSTATE '45000' SET MYSQL_ERRNO = 31002, MESSAGE_TEXT = 'no such customer';
    END IF;
    INSERT INTO history (h_w_id, h_c_w_id, h_c_d_id, h_c_id, h_payment_cnt, h_d_id, h_date, h_amount, h_data)
    VALUES (p_w_id, p_c_w_id, p_c_d_id, v_c_id, v_payment_cnt, p_d_id, NOW(), p_amount, v_data);

    SELECT NOW() AS h_date, w_street_1, w_street_2, w_city, w_state, w_zip,
           d_street_1, d_street_2, d_city, d_state, d_zip,
           c_id, c_first, c_middle, c_last, c_street_1, c_street_2, c_city, c_state, c_zip, c_phone, c_since,
           c_credit, c_credit_lim, c_discount, c_balance, IF(c_credit = 'BC', LEFT(c_data, 200), '') AS c_data
    FROM warehouse, district, customer
    WHERE w_id = p_w_id AND d_w_id = p_w_id AND d_id = p_d_id
      AND c_w_id = p_c_w_id AND c_d_id = p_c_d_id AND c_id = v_c_id
    ORDER BY c_id;
END//

CREATE PROCEDURE order_status(p_w_id INT, p_d_id INT, p_c_id INT,
                              p_c_last VARCHAR(16) CHARACTER SET latin1 COLLATE latin1_bin)
READS SQL DATA
BEGIN
    DECLARE v_c_id INT DEFAULT p_c_id;
    DECLARE v_o_id, v_count INT;
    DECLARE v_ids TEXT CHARACTER SET latin1;

    IF p_c_id = 0 THEN
        SELECT COUNT(*), GROUP_CONCAT(c_id ORDER BY c_first, c_id) INTO v_count, v_ids
        FROM customer FORCE INDEX (customer_name) WHERE c_w_id = p_w_id AND c_d_id = p_d_id AND c_last = p_c_last;
        IF v_count = 0 THEN
            SIGNAL SQLSTATE '45000' SET MYSQL_ERRNO = 31002, MESSAGE_TEXT = 'no such customer';
        END IF;
        SET v_c_id = SUBSTRING_INDEX(SUBSTRING_INDEX(v_ids, ',', (v_count + 1) DIV 2), ',', -1);
    END IF;

    SELECT MAX(o_id) INTO v_o_id FROM orders WHERE o_w_id = p_w_id AND o_d_id = p_d_id AND o_c_id = v_c_id;

    SELECT c_id, c_first, c_middle, c_last, c_balance, o_id, o_entry_d, o_carrier_id
    FROM customer, orders
    WHERE c_w_id = p_w_id AND c_d_id = p_d_id AND c_id = v_c_id
      AND o_w_id = p_w_id AND o_d_id = p_d_id AND o_id = v_o_id
    ORDER BY c_id;

    SELECT ol_number, ol_i_id, ol_supply_w_id, ol_quantity, ol_amount, ol_delivery_d
    FROM order_line WHERE ol_w_id = p_w_id AND ol_d_id = p_d_id AND ol_o_id = v_o_id
    ORDER BY ol_number;
END//

-- Delivers the oldest new order of each district; a district without one is left out. FOR UPDATE is for databases
-- without ordered execution, where two deliveries in one warehouse would take the same orders.
CREATE PROCEDURE delivery(p_w_id INT, p_o_carrier_id INT)
MODIFIES SQL DATA
BEGIN
    DECLARE v_orders TEXT CHARACTER SET latin1 COLLATE latin1_bin;

    SELECT CONCAT('[', GROUP_CONCAT('[', d.d_id, ',', d.o_id, ']' ORDER BY d.d_id), ']') INTO v_orders
    FROM (SELECT d_w_id, d_id, (SELECT no_o_id FROM new_order WHERE no_w_id = p_w_id AND no_d_id = d_id
                                ORDER BY no_o_id LIMIT 1 FOR UPDATE) AS o_id
          FROM district WHERE d_w_id = p_w_id) AS d
    WHERE d.o_id IS NOT NULL
    GROUP BY d.d_w_id;

    DELETE new_order
    FROM JSON_TABLE(v_orders, '$[*]' COLUMNS (d_id INT PATH '$[0]', o_id INT PATH '$[1]')) AS o
    STRAIGHT_JOIN new_order ON no_w_id = p_w_id AND no_d_id = o.d_id AND no_o_id = o.o_id;

    UPDATE JSON_TABLE(v_orders, '$[*]' COLUMNS (d_id INT PATH '$[0]', o_id INT PATH '$[1]')) AS o
    STRAIGHT_JOIN orders ON o_w_id = p_w_id AND o_d_id = o.d_id AND orders.o_id = o.o_id
    SET o_carrier_id = p_o_carrier_id;

    UPDATE JSON_TABLE(v_orders, '$[*]' COLUMNS (d_id INT PATH '$[0]', o_id INT PATH '$[1]')) AS o
    STRAIGHT_JOIN order_line ON ol_w_id = p_w_id AND ol_d_id = o.d_id AND ol_o_id = o.o_id
    SET ol_delivery_d = NOW();

    UPDATE (SELECT o_d_id, o_c_id, SUM(ol_amount) AS amount
            FROM JSON_TABLE(v_orders, '$[*]' COLUMNS (d_id INT PATH '$[0]', o_id INT PATH '$[1]')) AS o
            STRAIGHT_JOIN orders ON o_w_id = p_w_id AND o_d_id = o.d_id AND orders.o_id = o.o_id
            STRAIGHT_JOIN order_line ON ol_w_id = p_w_id AND ol_d_id = o.d_id AND ol_o_id = o.o_id
            GROUP BY o_d_id, o_c_id) AS delivered
    STRAIGHT_JOIN customer ON c_w_id = p_w_id AND c_d_id = delivered.o_d_id AND c_id = delivered.o_c_id
    SET c_balance = c_balance + delivered.amount, c_delivery_cnt = c_delivery_cnt + 1;

    SELECT o.d_id, o.o_id
    FROM JSON_TABLE(v_orders, '$[*]' COLUMNS (d_id INT PATH '$[0]', o_id INT PATH '$[1]')) AS o
    ORDER BY o.d_id;
END//

-- Items of the district's last twenty orders of which the warehouse has fewer than p_threshold.
CREATE PROCEDURE stock_level(p_w_id INT, p_d_id INT, p_threshold INT)
READS SQL DATA
BEGIN
    DECLARE v_next_o_id INT;

    SELECT d_next_o_id INTO v_next_o_id FROM district WHERE d_w_id = p_w_id AND d_id = p_d_id;

    SELECT COUNT(DISTINCT s_i_id) AS low_stock
    FROM order_line
    STRAIGHT_JOIN stock ON s_w_id = p_w_id AND s_i_id = ol_i_id
    WHERE ol_w_id = p_w_id AND ol_d_id = p_d_id AND ol_o_id BETWEEN v_next_o_id - 20 AND v_next_o_id - 1
      AND s_quantity < p_threshold;
END//

-- Batch forms: a row of calls as one set of statements, with the rows and answers that the calls leave one after
-- the other (docs/adr/0017-batch-forms.md). p_calls is [[number, time, [argument, ...]], ...] in the order of
-- the calls. The first result set names the calls that were left out, to be run by themselves; each other one
-- is the plain form's with the call's number before it.

-- Left out is what would abort. An item on several lines, of one call or of several, gets from their sum what it gets from
-- one line after the other (arithmetic modulo 91 as above; 10000 = 110 * 91 - 10); what a call shows is the last quantity, less
-- what later calls took.
CREATE PROCEDURE new_order_batch(p_calls LONGTEXT CHARACTER SET latin1 COLLATE latin1_bin)
MODIFIES SQL DATA
BEGIN
    DECLARE v_calls, v_done LONGTEXT CHARACTER SET latin1 COLLATE latin1_bin;
    DECLARE v_line_count, v_items, v_wanted INT;

    -- [[number, time, warehouse, district, customer, order, lines, all of this warehouse, amount, last of its district], ...]
    SELECT CONCAT('[', GROUP_CONCAT('[', n, ',"', t, '",', w, ',', d, ',', c, ',', d_next_o_id + place - 1, ',', line_count, ',', all_local,
                                    ',"', amount, '",', place = calls, ']' ORDER BY n SEPARATOR ','), ']'),
           CONCAT('[', GROUP_CONCAT(n ORDER BY n), ']'), SUM(line_count)
    INTO v_calls, v_done, v_wanted
    FROM (SELECT n, t, w, d, c, line_count, all_local, amount, ROW_NUMBER() OVER (PARTITION BY w, d ORDER BY n) AS place,
                 COUNT(*) OVER (PARTITION BY w, d) AS calls
          FROM (SELECT n, t, w, d, c, COUNT(*) AS line_count, COUNT(i_id) AS items, MIN(supply = w) AS all_local, SUM(quantity * i_price) AS amount
                FROM JSON_TABLE(p_calls, '$[*]' COLUMNS (n INT PATH '$[0]', t DATETIME PATH '$[1]', w INT PATH '$[2][0]', d INT PATH '$[2][1]',
                                                         c INT PATH '$[2][2]',
                         NESTED PATH '$[2][3][*]' COLUMNS (i INT PATH '$[0]', supply INT PATH '$[1]', quantity INT PATH '$[2]'))) AS j
                LEFT JOIN item ON i_id = i
                GROUP BY n, t, w, d, c) AS k
          STRAIGHT_JOIN customer ON c_w_id = w AND c_d_id = d AND c_id = c
          WHERE items = line_count) AS g
    STRAIGHT_JOIN district ON d_w_id = w AND d_id = d;

    INSERT INTO order_line (ol_w_id, ol_d_id, ol_o_id, ol_number, ol_i_id, ol_supply_w_id, ol_delivery_d,
                            ol_quantity, ol_amount, ol_dist_info)
    SELECT w, d, o, number, i, supply, NULL, quantity, quantity * i_price,
           CASE d WHEN 1 THEN s_dist_01 WHEN 2 THEN s_dist_02 WHEN 3 THEN s_dist_03 WHEN 4 THEN s_dist_04
                  WHEN 5 THEN s_dist_05 WHEN 6 THEN s_dist_06 WHEN 7 THEN s_dist_07 WHEN 8 THEN s_dist_08
                  WHEN 9 THEN s_dist_09 ELSE s_dist_10 END
    FROM JSON_TABLE(p_calls, '$[*]' COLUMNS (given INT PATH '$[0]', ol JSON PATH '$[2][3]')) AS j
    STRAIGHT_JOIN JSON_TABLE(v_calls, '$[*]' COLUMNS (n INT PATH '$[0]', w INT PATH '$[2]', d INT PATH '$[3]', o INT PATH '$[5]')) AS k ON n = given
    STRAIGHT_JOIN JSON_TABLE(ol, '$[*]' COLUMNS (number FOR ORDINALITY, i INT PATH '$[0]', supply INT PATH '$[1]', quantity INT PATH '$[2]')) AS l
    STRAIGHT_JOIN item ON i_id = i
    STRAIGHT_JOIN stock ON s_w_id = supply AND s_i_id = i;

    SELECT COUNT(*), COUNT(DISTINCT ol_supply_w_id, ol_i_id) INTO v_line_count, v_items
    FROM JSON_TABLE(v_calls, '$[*]' COLUMNS (w INT PATH '$[2]', d INT PATH '$[3]', o INT PATH '$[5]')) AS j
    STRAIGHT_JOIN order_line ON ol_w_id = w AND ol_d_id = d AND ol_o_id = o;
    IF v_line_count < v_wanted THEN
        SIGNAL SQLSTATE '45000' SET MYSQL_ERRNO = 31001, MESSAGE_TEXT = 'unused item number';
    END IF;

    IF v_items = v_line_count THEN
        UPDATE JSON_TABLE(v_calls, '$[*]' COLUMNS (w INT PATH '$[2]', d INT PATH '$[3]', o INT PATH '$[5]')) AS j
        STRAIGHT_JOIN order_line ON ol_w_id = w AND ol_d_id = d AND ol_o_id = o
        STRAIGHT_JOIN stock ON s_w_id = ol_supply_w_id AND s_i_id = ol_i_id
        SET s_quantity = 10 + (s_quantity + 10000 - ol_quantity) % 91, s_ytd = s_ytd + ol_quantity,
            s_order_cnt = s_order_cnt + 1, s_remote_cnt = s_remote_cnt + (ol_supply_w_id <> w);
    ELSE
        UPDATE (SELECT ol_supply_w_id AS supply, ol_i_id AS i, SUM(ol_quantity) AS quantity, COUNT(*) AS line_count,
                       SUM(ol_supply_w_id <> w) AS remote_count
                FROM JSON_TABLE(v_calls, '$[*]' COLUMNS (w INT PATH '$[2]', d INT PATH '$[3]', o INT PATH '$[5]')) AS j
                STRAIGHT_JOIN order_line ON ol_w_id = w AND ol_d_id = d AND ol_o_id = o
                GROUP BY ol_supply_w_id, ol_i_id) AS l
        STRAIGHT_JOIN stock ON s_w_id = l.supply AND s_i_id = l.i
        SET s_quantity = 10 + (s_quantity + 10000 - l.quantity) % 91, s_ytd = s_ytd + l.quantity,
            s_order_cnt = s_order_cnt + l.line_count, s_remote_cnt = s_remote_cnt + l.remote_count;
    END IF;

    INSERT INTO orders (o_w_id, o_d_id, o_id, o_c_id, o_entry_d, o_carrier_id, o_ol_cnt, o_all_local)
    SELECT w, d, o, c, t, NULL, line_count, all_local
    FROM JSON_TABLE(v_calls, '$[*]' COLUMNS (t DATETIME PATH '$[1]', w INT PATH '$[2]', d INT PATH '$[3]', c INT PATH '$[4]', o INT PATH '$[5]',
                                             line_count INT PATH '$[6]', all_local INT PATH '$[7]')) AS j;
    INSERT INTO new_order (no_w_id, no_d_id, no_o_id)
    SELECT w, d, o FROM JSON_TABLE(v_calls, '$[*]' COLUMNS (w INT PATH '$[2]', d INT PATH '$[3]', o INT PATH '$[5]')) AS j;
    UPDATE JSON_TABLE(v_calls, '$[*]' COLUMNS (w INT PATH '$[2]', d INT PATH '$[3]', o INT PATH '$[5]', last INT PATH '$[9]')) AS j
    STRAIGHT_JOIN district ON d_w_id = w AND d_id = d
    SET d_next_o_id = o + 1
    WHERE last = 1;

    SELECT n FROM JSON_TABLE(p_calls, '$[*]' COLUMNS (n INT PATH '$[0]')) AS j
    WHERE v_done IS NULL OR NOT JSON_CONTAINS(v_done, n)
    ORDER BY n;

    SELECT n, o AS o_id, t AS o_entry_d, line_count AS o_ol_cnt, c_last, c_credit, c_discount, w_tax, d_tax,
           CAST(amount * (1 - c_discount) * (1 + w_tax + d_tax) AS DECIMAL(12, 2)) AS total
    FROM JSON_TABLE(v_calls, '$[*]' COLUMNS (n INT PATH '$[0]', t DATETIME PATH '$[1]', w INT PATH '$[2]', d INT PATH '$[3]', c INT PATH '$[4]',
                                             o INT PATH '$[5]', line_count INT PATH '$[6]', amount DECIMAL(12, 2) PATH '$[8]')) AS j
    STRAIGHT_JOIN warehouse ON w_id = w
    STRAIGHT_JOIN district ON d_w_id = w AND d_id = d
    STRAIGHT_JOIN customer ON c_w_id = w AND c_d_id = d AND c_id = c
    ORDER BY n;

    IF v_items = v_line_count THEN
        SELECT n, ol_number, i_name, s_quantity, IF(i_data LIKE '%ORIGINAL%' AND s_data LIKE '%ORIGINAL%', 'B', 'G') AS brand, i_price, ol_amount
        FROM JSON_TABLE(v_calls, '$[*]' COLUMNS (n INT PATH '$[0]', w INT PATH '$[2]', d INT PATH '$[3]', o INT PATH '$[5]')) AS j
        STRAIGHT_JOIN order_line ON ol_w_id = w AND ol_d_id = d AND ol_o_id = o
        STRAIGHT_JOIN item ON i_id = ol_i_id
        STRAIGHT_JOIN stock ON s_w_id = ol_supply_w_id AND s_i_id = ol_i_id
        ORDER BY n, ol_number;
    ELSE
        SELECT n, ol_number, i_name, CAST(10 + (s_quantity - 10 + later) % 91 AS SIGNED) AS s_quantity,
               IF(i_data LIKE '%ORIGINAL%' AND s_data LIKE '%ORIGINAL%', 'B', 'G') AS brand, i_price, ol_amount
        FROM (SELECT n, ol_number, ol_i_id, ol_supply_w_id, ol_amount,
                     SUM(ol_quantity) OVER (PARTITION BY ol_supply_w_id, ol_i_id)
                         - SUM(ol_quantity) OVER (PARTITION BY ol_supply_w_id, ol_i_id ORDER BY n) AS later
              FROM JSON_TABLE(v_calls, '$[*]' COLUMNS (n INT PATH '$[0]', w INT PATH '$[2]', d INT PATH '$[3]', o INT PATH '$[5]')) AS j
              STRAIGHT_JOIN order_line ON ol_w_id = w AND ol_d_id = d AND ol_o_id = o) AS l
        STRAIGHT_JOIN item ON i_id = ol_i_id
        STRAIGHT_JOIN stock ON s_w_id = ol_supply_w_id AND s_i_id = ol_i_id
        ORDER BY n, ol_number;
    END IF;
END//

-- Left out are unknown customers, and all but the first payment of a customer.
CREATE PROCEDURE payment_batch(p_calls LONGTEXT CHARACTER SET latin1 COLLATE latin1_bin)
MODIFIES SQL DATA
BEGIN
    DECLARE v_calls, v_done LONGTEXT CHARACTER SET latin1 COLLATE latin1_bin;

    -- [[number, time, warehouse, district, customer's warehouse, district, customer, amount, warehouse's amount, district's], ...]
    SELECT CONCAT('[', GROUP_CONCAT('[', n, ',"', t, '",', w, ',', d, ',', cw, ',', cd, ',', c, ',"', amount, '","', w_amount, '","', d_amount, '"]' ORDER BY n SEPARATOR ','), ']'),
           CONCAT('[', GROUP_CONCAT(n ORDER BY n), ']')
    INTO v_calls, v_done
    FROM (SELECT n, t, w, d, cw, cd, c, amount, SUM(amount) OVER (PARTITION BY w) AS w_amount, SUM(amount) OVER (PARTITION BY w, d) AS d_amount
          FROM (SELECT n, t, w, d, cw, cd, c_id AS c, amount, ROW_NUMBER() OVER (PARTITION BY cw, cd, c_id ORDER BY n) AS place
                FROM JSON_TABLE(p_calls, '$[*]' COLUMNS (n INT PATH '$[0]', t DATETIME PATH '$[1]', w INT PATH '$[2][0]', d INT PATH '$[2][1]',
                         cw INT PATH '$[2][2]', cd INT PATH '$[2][3]', c INT PATH '$[2][4]',
                         last VARCHAR(16) CHARACTER SET latin1 COLLATE latin1_bin PATH '$[2][5]', amount DECIMAL(6, 2) PATH '$[2][6]')) AS j
                STRAIGHT_JOIN customer ON c_w_id = cw AND c_d_id = cd AND c_id = IF(c > 0, c,
                     (SELECT CAST(SUBSTRING_INDEX(SUBSTRING_INDEX(GROUP_CONCAT(k.c_id ORDER BY k.c_first, k.c_id), ',', (COUNT(*) + 1) DIV 2), ',', -1) AS INT)
                      FROM customer AS k FORCE INDEX (customer_name) WHERE k.c_w_id = cw AND k.c_d_id = cd AND k.c_last = last))) AS r
          WHERE place = 1) AS g;

    UPDATE JSON_TABLE(v_calls, '$[*]' COLUMNS (w INT PATH '$[2]', d INT PATH '$[3]', cw INT PATH '$[4]', cd INT PATH '$[5]', c INT PATH '$[6]',
                                               amount DECIMAL(6, 2) PATH '$[7]', w_amount DECIMAL(12, 2) PATH '$[8]', d_amount DECIMAL(12, 2) PATH '$[9]')) AS l
    STRAIGHT_JOIN warehouse ON w_id = w
    STRAIGHT_JOIN district ON d_w_id = w AND d_id = d
    STRAIGHT_JOIN customer ON c_w_id = cw AND c_d_id = cd AND c_id = c
    SET w_ytd = w_ytd + w_amount, d_ytd = d_ytd + d_amount,
        c_balance = c_balance - amount, c_ytd_payment = c_ytd_payment + amount, c_payment_cnt = c_payment_cnt + 1,
        c_data = IF(c_credit = 'BC', LEFT(CONCAT(c_id, ' ', c_d_id, ' ', c_w_id, ' ', d, ' ', w, ' ', amount, '|', c_data), 500), c_data);

    INSERT INTO history (h_w_id, h_c_w_id, h_c_d_id, h_c_id, h_payment_cnt, h_d_id, h_date, h_amount, h_data)
    SELECT w, cw, cd, c, c_payment_cnt, d, t, amount, CONCAT(w_name, '    ', d_name)
    FROM JSON_TABLE(v_calls, '$[*]' COLUMNS (t DATETIME PATH '$[1]', w INT PATH '$[2]', d INT PATH '$[3]', cw INT PATH '$[4]', cd INT PATH '$[5]',
                                             c INT PATH '$[6]', amount DECIMAL(6, 2) PATH '$[7]')) AS l
    STRAIGHT_JOIN warehouse ON w_id = w
    STRAIGHT_JOIN district ON d_w_id = w AND d_id = d
    STRAIGHT_JOIN customer ON c_w_id = cw AND c_d_id = cd AND c_id = c;

    SELECT n FROM JSON_TABLE(p_calls, '$[*]' COLUMNS (n INT PATH '$[0]')) AS j
    WHERE v_done IS NULL OR NOT JSON_CONTAINS(v_done, n)
    ORDER BY n;

    SELECT n, t AS h_date, w_street_1, w_street_2, w_city, w_state, w_zip,
           d_street_1, d_street_2, d_city, d_state, d_zip,
           c_id, c_first, c_middle, c_last, c_street_1, c_street_2, c_city, c_state, c_zip, c_phone, c_since,
           c_credit, c_credit_lim, c_discount, c_balance, IF(c_credit = 'BC', LEFT(c_data, 200), '') AS c_data
    FROM JSON_TABLE(v_calls, '$[*]' COLUMNS (n INT PATH '$[0]', t DATETIME PATH '$[1]', w INT PATH '$[2]', d INT PATH '$[3]', cw INT PATH '$[4]',
                                             cd INT PATH '$[5]', c INT PATH '$[6]')) AS l
    STRAIGHT_JOIN warehouse ON w_id = w
    STRAIGHT_JOIN district ON d_w_id = w AND d_id = d
    STRAIGHT_JOIN customer ON c_w_id = cw AND c_d_id = cd AND c_id = c
    ORDER BY n;
END//

DELIMITER ;
