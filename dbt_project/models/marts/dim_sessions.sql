with sessions as (

    select * from {{ ref('stg_llm_ops__sessions') }}

),

days as (

    select * from {{ ref('fct_daily_sessions') }}

),

totals as (

    select
        session_id,

        min(first_operation_at) as first_operation_at,
        max(last_operation_at) as last_operation_at,

        cast(sum(operation_count) as bigint) as operation_count,
        cast(sum(error_count) as bigint) as error_count,
        cast(sum(unpriced_operation_count) as bigint) as unpriced_operation_count,

        cast(sum(input_tokens) as bigint) as input_tokens,
        cast(sum(output_tokens) as bigint) as output_tokens,
        cast(sum(total_tokens) as bigint) as total_tokens,
        cast(sum(total_latency_ms) as bigint) as total_latency_ms,

        cast(sum(cost_usd) as numeric(38, 12)) as cost_usd

    from days
    group by session_id

),

final as (

    select
        sessions.session_id,

        sessions.workspace,
        sessions.agent_id,

        coalesce(totals.operation_count, 0) as operation_count,
        coalesce(totals.error_count, 0) as error_count,
        coalesce(totals.unpriced_operation_count, 0) as unpriced_operation_count,

        totals.input_tokens,
        totals.output_tokens,
        totals.total_tokens,
        totals.total_latency_ms,

        totals.cost_usd,

        sessions.created_at is null as is_stub,

        sessions.created_at,
        totals.first_operation_at,
        totals.last_operation_at

    from sessions
    left join totals on sessions.session_id = totals.session_id

)

select * from final
