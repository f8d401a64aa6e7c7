//! Every operation of the shop: its work, what it calls in which order, and what it logs.

use super::topology::{
    CART, CATALOGUE, CHECKOUT, FRONTEND, MAILER, ORDERS, Operation, PAYMENT, QUEUE_NAME, Query,
    RECOMMENDATION, SHIPPING, Step, Trigger, USER,
};

pub(super) static HOME: Operation = Operation {
    service: FRONTEND,
    slot: 0,
    trigger: Trigger::Http("GET"),
    route: "/",
    work_ms: 6.0,
    failing: 0.0010,
    steps: &[Step::Needs(&LIST_PRODUCTS), Step::Likes(&RECOMMEND)],
    done: "GET / 200 {ms} ms client={ip}",
    done_share: 0.02,
    failed: "template rendering failed for session {id}",
};

pub(super) static PRODUCT: Operation = Operation {
    service: FRONTEND,
    slot: 1,
    trigger: Trigger::Http("GET"),
    route: "/product/{id}",
    work_ms: 5.0,
    failing: 0.0010,
    steps: &[Step::Needs(&GET_PRODUCT), Step::Likes(&RECOMMEND)],
    done: "GET /product/{sku} 200 {ms} ms client={ip}",
    done_share: 0.02,
    failed: "product page {sku} could not be rendered",
};

pub(super) static ADD_TO_CART: Operation = Operation {
    service: FRONTEND,
    slot: 2,
    trigger: Trigger::Http("POST"),
    route: "/cart",
    work_ms: 4.0,
    failing: 0.0010,
    steps: &[Step::Needs(&ADD_ITEM)],
    done: "POST /cart 200 {ms} ms client={ip}",
    done_share: 0.02,
    failed: "csrf token missing for client {ip}",
};

pub(super) static BUY: Operation = Operation {
    service: FRONTEND,
    slot: 3,
    trigger: Trigger::Http("POST"),
    route: "/checkout",
    work_ms: 7.0,
    failing: 0.0010,
    steps: &[Step::Needs(&PLACE_ORDER)],
    done: "POST /checkout 200 {ms} ms client={ip}",
    done_share: 0.03,
    failed: "checkout form of session {id} was incomplete",
};

pub(super) static SIGN_IN: Operation = Operation {
    service: FRONTEND,
    slot: 4,
    trigger: Trigger::Http("POST"),
    route: "/login",
    work_ms: 4.0,
    failing: 0.0010,
    steps: &[Step::Needs(&LOGIN)],
    done: "POST /login 200 {ms} ms client={ip}",
    done_share: 0.02,
    failed: "login form of client {ip} could not be parsed",
};

pub(super) static MY_ORDERS: Operation = Operation {
    service: FRONTEND,
    slot: 5,
    trigger: Trigger::Http("GET"),
    route: "/orders",
    work_ms: 5.0,
    failing: 0.0010,
    steps: &[Step::Needs(&GET_USER), Step::Needs(&LIST_ORDERS)],
    done: "GET /orders 200 {ms} ms client={ip}",
    done_share: 0.02,
    failed: "order history of session {id} could not be rendered",
};

pub(super) static LIST_PRODUCTS: Operation = Operation {
    service: CATALOGUE,
    slot: 0,
    trigger: Trigger::Http("GET"),
    route: "/products",
    work_ms: 7.0,
    failing: 0.0008,
    steps: &[Step::Query(&Query { verb: "SELECT", table: "products", work_ms: 4.0 })],
    done: "listed {n} products in {ms} ms",
    done_share: 0.012,
    failed: "product list query was cancelled after {ms} ms",
};

pub(super) static GET_PRODUCT: Operation = Operation {
    service: CATALOGUE,
    slot: 1,
    trigger: Trigger::Http("GET"),
    route: "/products/{id}",
    work_ms: 4.0,
    failing: 0.0008,
    steps: &[Step::Query(&Query { verb: "SELECT", table: "products", work_ms: 2.0 })],
    done: "loaded product {sku} in {ms} ms",
    done_share: 0.012,
    failed: "product {sku} has no price",
};

pub(super) static GET_CART: Operation = Operation {
    service: CART,
    slot: 0,
    trigger: Trigger::Http("GET"),
    route: "/carts/{user}",
    work_ms: 3.0,
    failing: 0.0008,
    steps: &[Step::Query(&Query { verb: "SELECT", table: "cart_items", work_ms: 2.0 })],
    done: "cart of user {user} has {few} items",
    done_share: 0.05,
    failed: "cart of user {user} is corrupt",
};

pub(super) static ADD_ITEM: Operation = Operation {
    service: CART,
    slot: 1,
    trigger: Trigger::Http("POST"),
    route: "/carts/{user}/items",
    work_ms: 4.0,
    failing: 0.0010,
    steps: &[
        Step::Needs(&GET_PRODUCT),
        Step::Query(&Query { verb: "INSERT", table: "cart_items", work_ms: 3.0 }),
    ],
    done: "user {user} added {sku} to the cart",
    done_share: 0.04,
    failed: "cart of user {user} was changed concurrently, giving up",
};

pub(super) static PLACE_ORDER: Operation = Operation {
    service: CHECKOUT,
    slot: 0,
    trigger: Trigger::Http("POST"),
    route: "/checkout",
    work_ms: 8.0,
    failing: 0.0015,
    steps: &[
        Step::Needs(&GET_CART),
        Step::Needs(&GET_USER),
        Step::Needs(&QUOTE),
        Step::Needs(&CHARGE),
        Step::Needs(&CREATE_ORDER),
    ],
    done: "order {order} placed by {email} for {amount} EUR in {ms} ms",
    done_share: 0.10,
    failed: "order {order} rejected: totals do not add up",
};

pub(super) static CHARGE: Operation = Operation {
    service: PAYMENT,
    slot: 0,
    trigger: Trigger::Http("POST"),
    route: "/charges",
    work_ms: 34.0,
    failing: 0.0030,
    steps: &[Step::Query(&Query { verb: "INSERT", table: "charges", work_ms: 3.0 })],
    done: "charged {amount} EUR to card {card} for order {order}",
    done_share: 0.10,
    failed: "card issuer declined order {order} with code {n}",
};

pub(super) static QUOTE: Operation = Operation {
    service: SHIPPING,
    slot: 0,
    trigger: Trigger::Http("POST"),
    route: "/quotes",
    work_ms: 9.0,
    failing: 0.0010,
    steps: &[Step::Query(&Query { verb: "SELECT", table: "carrier_rates", work_ms: 2.5 })],
    done: "quoted {amount} EUR to postcode {postcode}",
    done_share: 0.05,
    failed: "no carrier serves postcode {postcode}",
};

pub(super) static LABEL: Operation = Operation {
    service: SHIPPING,
    slot: 1,
    trigger: Trigger::Http("POST"),
    route: "/labels",
    work_ms: 13.0,
    failing: 0.0010,
    steps: &[Step::Query(&Query { verb: "INSERT", table: "labels", work_ms: 3.0 })],
    done: "label queued for order {order}",
    done_share: 0.06,
    failed: "label of order {order} could not be rendered",
};

pub(super) static RECOMMEND: Operation = Operation {
    service: RECOMMENDATION,
    slot: 0,
    trigger: Trigger::Http("GET"),
    route: "/recommendations",
    work_ms: 16.0,
    failing: 0.0015,
    steps: &[],
    done: "ranked {few} items for user {user} in {ms} ms",
    done_share: 0.015,
    failed: "feature store returned no row for user {user}",
};

pub(super) static LOGIN: Operation = Operation {
    service: USER,
    slot: 0,
    trigger: Trigger::Http("POST"),
    route: "/login",
    work_ms: 22.0,
    failing: 0.0010,
    steps: &[Step::Query(&Query { verb: "SELECT", table: "users", work_ms: 2.0 })],
    done: "user {email} logged in from {ip}",
    done_share: 0.10,
    failed: "password hash of user {user} has an unknown scheme",
};

pub(super) static GET_USER: Operation = Operation {
    service: USER,
    slot: 1,
    trigger: Trigger::Http("GET"),
    route: "/users/{id}",
    work_ms: 3.0,
    failing: 0.0008,
    steps: &[Step::Query(&Query { verb: "SELECT", table: "users", work_ms: 2.0 })],
    done: "profile of user {user} read in {ms} ms",
    done_share: 0.03,
    failed: "profile of user {user} is locked",
};

pub(super) static CREATE_ORDER: Operation = Operation {
    service: ORDERS,
    slot: 0,
    trigger: Trigger::Http("POST"),
    route: "/orders",
    work_ms: 7.0,
    failing: 0.0010,
    steps: &[
        Step::Query(&Query { verb: "INSERT", table: "orders", work_ms: 5.0 }),
        Step::Needs(&LABEL),
        Step::Publish(&CONFIRM),
    ],
    done: "order {order} stored for user {user}",
    done_share: 0.08,
    failed: "order {order} violates unique constraint orders_pkey",
};

pub(super) static LIST_ORDERS: Operation = Operation {
    service: ORDERS,
    slot: 1,
    trigger: Trigger::Http("GET"),
    route: "/orders",
    work_ms: 6.0,
    failing: 0.0010,
    steps: &[Step::Query(&Query { verb: "SELECT", table: "orders", work_ms: 6.0 })],
    done: "user {user} has {few} orders",
    done_share: 0.06,
    failed: "order history of user {user} is unreadable",
};

pub(super) static CONFIRM: Operation = Operation {
    service: MAILER,
    slot: 0,
    trigger: Trigger::Message,
    route: QUEUE_NAME,
    work_ms: 28.0,
    failing: 0.0020,
    steps: &[],
    done: "confirmation of order {order} sent to {email}",
    done_share: 0.10,
    failed: "smtp server refused recipient {email}",
};
