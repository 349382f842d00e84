-- As in the project, but that no price is looked up and multiplied with: an operation costs what its app recorded.
with operations as (

    select * from {{ ref('int_operations_enriched') }}

),

price_versions as (

    select distinct
        provider,
        model,
        price_version
    from {{ ref('int_prices_matched') }}

),

final as (

    select
        operation_id,
        session_id,
        parent_operation_id,
        action_id,

        workspace,
        agent_id,
        operation_type,
        operations.provider,
        operations.model,
        service_tier,
        status,

        {{ token_columns() | join(',\n        ') }},
        coalesce(input_tokens + output_tokens, input_tokens, output_tokens) as total_tokens,
        latency_ms,
        time_to_first_token_ms,

        recorded_cost_usd,
        cast(null as numeric(18, 12)) as list_cost_usd,
        cast(null as numeric(18, 12)) as current_cost_usd,
        recorded_cost_usd as cost_usd,
        case when is_rollup then 'children' when recorded_cost_usd is not null then 'recorded' end as cost_source,
        case when not is_rollup and recorded_cost_usd is null then 'unknown_model' end as unpriced_reason,
        cast(null as bigint) as price_id,

        is_rollup,
        is_error,
        error_class,
        has_refused_values,

        operation_date,

        started_at,
        started_at_instant,
        loaded_at,
        session_loaded_at,
        child_call_count,
        last_child_loaded_at,
        price_versions.price_version

    from operations
    left join price_versions
        on
            coalesce(operations.provider, '') = price_versions.provider
            and operations.model = price_versions.model

)

select * from final
