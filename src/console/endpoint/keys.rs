//! Every key on its time line, and what is safe when.

use std::sync::Arc;

use actix_web::{HttpResponse, web::Data};
use jeton_oauth::clock::Clock;

use crate::{config::Settings, http::json_answer, keys::LiveKeys, report};

pub(super) async fn get(
    keys: Data<Arc<LiveKeys>>,
    settings: Data<Settings>,
    clock: Data<dyn Clock>,
) -> HttpResponse {
    json_answer(&report::keys_with_advice(&keys, &settings.keys.dir, clock.now()))
}
