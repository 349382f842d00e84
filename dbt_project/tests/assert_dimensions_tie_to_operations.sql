{#
    Every operation is counted in exactly one session and one model, with its tokens and cost in the session's totals. The
    days of fct_daily_cost stand for the operations, which they are tested to add up to.
#}
with operations as (

    select
        sum(operation_count) as operation_count,
        sum(total_tokens) as total_tokens,
        sum(cost_usd) as cost_usd
    from {{ ref('fct_daily_cost') }}

),

sessions as (

    select
        sum(operation_count) as operation_count,
        sum(total_tokens) as total_tokens,
        sum(cost_usd) as cost_usd
    from {{ ref('dim_sessions') }}

),

models as (

    select sum(operation_count) as operation_count
    from {{ ref('dim_models') }}

)

select
    operations.operation_count,
    sessions.operation_count as session_operation_count,
    models.operation_count as model_operation_count,
    operations.cost_usd,
    sessions.cost_usd as session_cost_usd
from operations
cross join sessions
cross join models
where
    operations.operation_count <> coalesce(sessions.operation_count, 0)
    or operations.operation_count <> coalesce(models.operation_count, 0)
    or operations.total_tokens is distinct from sessions.total_tokens
    or operations.cost_usd is distinct from sessions.cost_usd
