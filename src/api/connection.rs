//! Test connection: does a Prometheus answer queries there?

use crate::api::Call;
use crate::api::datasource::Datasource;
use crate::error::Error;
use crate::wire::request::TestConnectionRequest;
use crate::wire::response::{ConnectionStatus, TestConnectionResponse};

/// Answers with the verdict; a failure is an answer, not an error, and says what is wrong, connection details included.
pub(super) fn answer(call: &mut Call<'_>, request: &TestConnectionRequest) -> TestConnectionResponse {
    match try_query(call, request) {
        Ok(()) => TestConnectionResponse { status: ConnectionStatus::Ok, error: None },
        Err(error) => {
            call.failure = Some(error.to_string());
            TestConnectionResponse { status: ConnectionStatus::Failure, error: Some(error.body()) }
        }
    }
}

fn try_query(call: &mut Call<'_>, request: &TestConnectionRequest) -> Result<(), Error> {
    let datasource = Datasource::new(&request.connection_details)?;
    call.open(&datasource).instant("1", None)?;
    Ok(())
}
